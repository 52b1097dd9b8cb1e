"""The command ``redoxscope xas``: files with absorption spectra."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Optional

import typer

from ._common import echo

__all__ = ["xas_app"]

Text = Optional[str]  # noqa: UP007, UP045  typer reads it
Texts = Optional[list[str]]  # noqa: UP007, UP045  typer reads it
Range = Optional[tuple[float, float]]  # noqa: UP007, UP045  typer reads it

xas_app = typer.Typer(no_args_is_help=True, help="Files with absorption spectra.")


@xas_app.callback()
def _xas() -> None:
    """Files with absorption spectra."""


@xas_app.command("process")
def process_files(
    files: Annotated[list[Path], typer.Argument(help="Tables with named columns.")],
    reference: Annotated[
        Text,
        typer.Option(help="Column of a reference measured at the same time: aligned on it."),
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder for summary, picture, spectra.")] = Path("xas"),
    column: Annotated[
        Text, typer.Option(help="Column of the spectrum. Default: the first that is free.")
    ] = None,
    i0: Annotated[Text, typer.Option(help="Column to divide by.")] = None,
    energy: Annotated[
        Text, typer.Option(help="Column of the energy. Default: found by name.")
    ] = None,
    pre: Annotated[
        Range, typer.Option(help="From where to where (eV) the background is fitted.")
    ] = None,
    post: Annotated[
        Range, typer.Option(help="From where to where (eV) the level behind the edge is.")
    ] = None,
    to: Annotated[
        Text, typer.Option(help="What becomes 1: step, maximum or area. Default: by the range.")
    ] = None,
    average: Annotated[
        bool, typer.Option("--average", help="The files are repeats of one sample: average them.")
    ] = False,
    standard: Annotated[
        Texts,
        typer.Option(help="NAME=VALENCE of a file that is a standard; repeatable, at least 3."),
    ] = None,
    component: Annotated[
        Texts, typer.Option(help="Name of a file that the others are fitted with; repeatable.")
    ] = None,
) -> None:
    """Normalise spectra, find their edges with σ, align them on a reference, draw them."""
    from ..xas_files import process

    summary = process(
        files,
        out,
        reference=reference,
        column=column,
        i0=i0,
        energy=energy,
        pre=pre,
        post=post,
        to=to,
        average=average,
        standards=_standards(standard or ()),
        components=component or (),
    )
    for line in report(summary):
        echo(line)
    echo(f"\npicture  {out / summary['pictures'][0]}")
    echo(f"summary  {out / 'summary.json'}")


def _standard(text: str) -> tuple[str, float]:
    name, sign, value = text.rpartition("=")
    try:
        if not (sign and name):
            raise ValueError(text)
        return name, float(value)
    except ValueError:
        raise ValueError(f"--standard {text!r:.60} must be NAME=VALENCE, as MnO=2") from None


def _standards(texts: Sequence[str]) -> dict[str, float]:
    found: dict[str, float] = {}
    for name, valence in map(_standard, texts):
        if name in found:
            raise ValueError(f"standard {name!r:.60} is given more than once")
        found[name] = valence
    return found


def report(summary: dict[str, Any]) -> list[str]:
    """The summary in lines for a terminal."""
    files = summary["files"]
    width = max(len(name) for name in files)
    out = [f"{'':{width}}  half height  integral (eV)  derivative  normalisation  shift"]
    for name, each in files.items():
        columns = (
            f"{_shown(each['half_height_ev']):>11}",
            f"{_shown(each['integral_ev']):>8} ± {_sigma(each['sigma_ev'])}",
            f"{_shown(each['derivative_ev']):>10}",
            f"{'± ' + _shown(each['normalisation_ev']):>13}",
            f"{_shown(each['shift_ev']):>5}",
        )
        out.append(f"{name:{width}}  " + "  ".join(columns))
        if "valence" in each:
            out.append(f"  valence {each['valence']:.2f} ± {each['valence_sigma']:.2f}")
        if "fractions" in each:
            parts = each["fractions"].items()
            sigma = each["fractions_sigma"]
            out.append("  " + ", ".join(f"{k} {v:.3f} ± {sigma[k]:.3f}" for k, v in parts))
        out += [f"  {text}" for text in each["warnings"]]
    if "alignment" in summary:
        told = summary["alignment"]
        out.append(
            f"aligned on {told['reference']} to {told['to']}: {told['removed_ev']:.2f} eV of drift "
            "removed"
        )
        out += [
            f"  {method.replace('_', ' ')}: {left['text']}"
            for method, left in told["remains"].items()
            if method != "derivative"
        ]
    if "valence" in summary:
        line = summary["valence"]
        out.append(
            f"{line['slope_ev']:.2f} ± {line['slope_sigma_ev']:.2f} eV per valence, scatter "
            f"{line['scatter_ev']:.2f} eV"
        )
    if "average" in summary:
        mean = summary["average"]
        out.append(
            f"average of {mean['averaged']}: integral {_shown(mean['integral_ev'])} ± "
            f"{_sigma(mean['integral_sigma_ev'])} eV"
        )
        out += [f"  left out: {name}, {why}" for name, why in mean["outliers"].items()]
        out += [f"  {text}" for text in mean["warnings"]]
    return out


def _sigma(value: float | None) -> str:
    """At least three places, and two digits: a sigma of 0.0004 is not 0."""
    if value is None or not value > 0:
        return _shown(value, 3)
    return _shown(value, max(3, 1 - math.floor(math.log10(value))))


def _shown(value: float | None, digits: int = 2) -> str:
    return "–" if value is None else f"{value:.{digits}f}"
