"""``redoxscope demo stack`` as its user runs it: a process of its own, everything real."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest

from redoxscope.demo import run_stack

KEYS = {
    "uid", "edge", "shape", "energies", "fraction_mean", "fraction_std", "n_mask", "sigma_median",
    "fraction_rms_error", "pull_std", "lines_missed", "lines_retried", "wall_s", "live_s",
    "message", "doubts", "engine_s", "software_ms_per_line", "software_ms_per_energy",
    "map_latency_ms_p95",
}  # fmt: skip


def redoxscope(*args, timeout=600, **kwargs):
    """Run the command; its completed process."""
    return subprocess.run(
        [sys.executable, "-c", "from redoxscope.cli import main; main()", *map(str, args)],
        capture_output=True, text=True, timeout=timeout, **kwargs,
    )  # fmt: skip


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """A small demonstration with one missed line: its output, summary and folder."""
    out = tmp_path_factory.mktemp("demo")
    done = redoxscope(
        "demo", "stack", "--pixels", 40, "--speed", 50, "--no-window", "--out", out,
        "--fault", "missed_trigger 7",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done, json.loads((out / "summary.json").read_text()), out


@pytest.mark.parametrize(
    "options, says",
    [
        ({"edge": "mn l3"}, "did you mean 'Mn L3'"),
        ({"pixels": 0}, "nx = 0"),
        ({"sample": "nofile.h5"}, "no such file"),
        ({"speed": 0.0}, "speed"),
        ({"seed": -1}, "seed"),
        ({"simulation_options": {"fault": ["nothing"]}}, "unknown fault 'nothing'"),
    ],
)
def test_wrong_options_are_refused_before_anything_starts(tmp_path, options, says):
    begun: list[bool] = []
    with pytest.raises((ValueError, OSError), match=says):
        run_stack(
            out=tmp_path / "out", window=False, on_begin=lambda: begun.append(True), **options
        )
    assert not begun and not (tmp_path / "out").exists()


def test_summary_is_complete_and_true(demo):
    _, summary, _ = demo
    assert set(summary) >= KEYS and list(summary)[-1] == "energies"  # what is long comes last
    n_e, ny, nx = summary["shape"]
    assert (ny, nx) == (40, 40) and n_e == len(summary["energies"]) > 40
    assert summary["live_s"] == pytest.approx(n_e * ny * nx * 0.001)
    moves = np.abs(np.diff(summary["energies"])) / 10 + 0.2
    flown = n_e * ny + summary["lines_retried"]
    assert summary["engine_s"] == pytest.approx((flown * (nx * 0.001 + 0.006) + moves.sum()) / 50)
    assert (summary["lines_retried"], summary["lines_missed"]) == (1, 0)
    assert summary["wall_s"] > summary["engine_s"]


def test_energies_before_the_first_map_say_so(demo):
    done, *_ = demo
    assert " 637.00 eV  no map yet\n" in done.stdout


def test_map_agrees_with_the_truth(demo):
    _, summary, _ = demo
    assert summary["fraction_of"] == "Mn4+"
    assert summary["n_mask"] > 700
    assert summary["fraction_mean"] == pytest.approx(0.80, abs=0.03)
    assert 0.01 < summary["fraction_rms_error"] < 0.08
    assert 0.9 < summary["pull_std"] < 1.25  # coarse pixels: stage errors of nm count at edges


def test_picture_is_there(demo):
    _, _, out = demo
    assert (out / "oxidation_map.png").stat().st_size > 20_000
    assert (out / "live.png").exists()  # promised: it was drawn while it ran


def test_the_run_opens_as_the_output_says(demo):
    done, summary, _ = demo
    lines = done.stdout.splitlines()
    first = next(i for i, line in enumerate(lines) if line.startswith("Open the run"))
    code = "\n".join(line.strip() for line in lines[first + 1 :])
    assert "databroker.catalog" in code
    code = code.replace('run["primary"].read()', 'data = run["primary"].read()')
    code += "\nprint(run.start['uid'], data['transmission'].shape, run.stop['exit_status'])"
    opened = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=400
    )
    assert opened.returncode == 0, opened.stderr
    n_e, ny, nx = summary["shape"]
    assert f"{summary['uid']} ({n_e * ny}, {nx}) success" in opened.stdout


def test_a_measured_stack_gives_the_map_of_its_file(toner, tmp_path):
    """Through IOC, plan, documents and callback as straight from the file; its every third energy.

    Of all of them tests/stxm_files/test_import.py has the figures of the data's README.
    """
    import h5py

    from redoxscope.callbacks import oxidation_map
    from redoxscope.data import references_from_h5
    from redoxscope.formats import read_stxm
    from redoxscope.stxm_files import stack_documents

    path = tmp_path / "third.h5"
    with h5py.File(toner) as whole, h5py.File(path, "w") as part:
        n = len(whole["energy"])
        for name, values in whole.items():
            per_energy = values.ndim and values.shape[0] == n
            part[name] = values[::3] if per_energy else values[()]
    direct = oxidation_map(list(stack_documents(read_stxm(path))), references_from_h5(path))
    shown = direct.result.fraction[direct.result.mask]
    done = redoxscope(
        "demo", "stack", "--sample", path, "--speed", 200, "--no-window", "--out", tmp_path
    )
    assert done.returncode == 0, done.stderr
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert summary["shape"] == [41, 125, 125]
    assert len(shown) > 2000
    assert summary["n_mask"] == pytest.approx(len(shown), abs=25)
    assert summary["fraction_mean"] == pytest.approx(shown.mean(), abs=0.005)
    assert summary["fraction_std"] == pytest.approx(shown.std(), abs=0.005)
    assert summary["fraction_rms_error"] is None and summary["pull_std"] is None
    doubts = {doubt["kind"]: doubt for doubt in summary["doubts"]}
    expected = {doubt.kind: doubt.value for doubt in direct.doubts}
    assert doubts["chi2"]["value"] == pytest.approx(expected["chi2"], abs=4)
    assert doubts["high_od"]["value"] == pytest.approx(expected["high_od"], abs=30)
    for doubt in doubts.values():  # at the prompt as in the file
        assert done.stdout.count(doubt["text"]) == 1 and doubt["text"] not in done.stderr
        assert doubt["text"] in summary["message"]


def test_sample_file_of_an_aborted_stack(tmp_path):
    """The rest of its energies is NaN: said with its number, at the prompt and in the summary."""
    import h5py

    energies = np.linspace(700.0, 716.0, 9)
    ends = np.stack([np.exp(-0.5 * ((energies - e) / 2.0) ** 2) for e in (704.0, 707.0)])
    thick = np.zeros((12, 12))
    thick[:, 5:] = 1.0
    counts = (
        np.random.default_rng(0)
        .poisson(1e4 * np.exp(-ends.mean(axis=0)[:, None, None] * thick))
        .astype(float)
    )
    counts[6:] = np.nan
    path = tmp_path / "aborted.h5"
    with h5py.File(path, "w") as f:
        f["counts"], f["energy"], f["dwell"] = counts, energies, 1.0
        f["x"] = f["y"] = 0.1 * np.arange(12)
        for name, spectrum in zip(("oxidized", "reduced"), ends, strict=True):
            f[name] = np.column_stack([energies, spectrum])
    done = redoxscope(
        "demo", "stack", "--sample", path, "--speed", 100, "--no-window", "--out", tmp_path
    )
    assert done.returncode == 0, done.stderr
    summary = json.loads((tmp_path / "summary.json").read_text())
    missing = [doubt for doubt in summary["doubts"] if doubt["kind"] == "missing"]
    assert len(missing) == 1 and missing[0]["value"] == 3
    assert "3 of 9 energies have no data" in missing[0]["text"]
    assert missing[0]["text"] in done.stdout
    assert summary["fraction_mean"] == pytest.approx(0.5, abs=0.05)


WRONG = [
    (("--edge", "Mn L9"), ("Mn L9", "Mn L3")),
    (("--sample", "nosuch.h5"), ("nosuch.h5",)),
    (("--pixels", "0"), ("pixels", "0")),
    (("--speed", "0"), ("speed", "0")),
    (("--fault", "earthquake"), ("earthquake", "missed_trigger")),
]
ONE_BY_ONE = """
import json, sys
from redoxscope.cli import main

for arguments in json.loads(sys.argv[1]):
    sys.argv = ["redoxscope", *arguments]
    try:
        main()
    except SystemExit as exc:
        print("END", exc.code, file=sys.stderr, flush=True)
"""


def test_bad_input_is_explained_in_a_line(tmp_path):
    """One process for all of them: what is wrong is found before anything starts."""
    out = tmp_path / "out"
    calls = [["demo", "stack", "--no-window", "--out", str(out), *args] for args, _ in WRONG]
    done = subprocess.run(
        [sys.executable, "-c", ONE_BY_ONE, json.dumps(calls)],
        capture_output=True, text=True, timeout=400,
    )  # fmt: skip
    assert done.returncode == 0 and "Traceback" not in done.stderr, done.stderr
    *told, rest = done.stderr.split("END 2\n")
    assert len(told) == len(WRONG) and not rest, done.stderr
    for text, (args, words) in zip(told, WRONG, strict=True):
        message = [line for line in text.splitlines() if line.startswith("error:")]
        assert len(message) == 1 and all(word in message[0] for word in words), (args, text)
    assert not (out / "summary.json").exists()


def test_sample_file_with_a_missing_dataset(tmp_path):
    import h5py

    path = tmp_path / "broken.h5"
    with h5py.File(path, "w") as f:
        f["counts"] = np.ones((3, 4, 5))
    done = redoxscope("demo", "stack", "--no-window", "--out", tmp_path / "out", "--sample", path)
    assert done.returncode == 2
    assert "broken.h5" in done.stderr and "'energy'" in done.stderr
