"""The simulated Dastard: what it draws, sends and counts, block after block."""

from __future__ import annotations

import heapq
import itertools
import json
import logging
import threading
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import zmq
from numpy.typing import NDArray

from ...formats import summary_dtype
from ..physics.rixs import EXCITATION_RANGE, Emission, RixsModel
from ..physics.tes import PulseModel, TesArray
from ._beam import START_ENERGY, BeamHistory, BeamState
from ._clock import ServerClock
from ._faults import ServerFaults
from ._files import RunFiles
from ._methods import Methods
from ._rates import TriggerRates
from ._rpc import GoError, RpcServer
from ._sockets import Sockets
from ._source import Source
from ._status import StatusPublisher
from ._stream import PhotonStream
from ._writing import Writing, go_os_error

__all__ = ["DastardServer", "Settings"]

log = logging.getLogger("redoxscope.sim.dastard")

ALIVE_NS = 2_000_000_000
SECOND_NS = 1_000_000_000
LOST_NS = 50_000_000
"""How much a loss of data takes."""

PATIENCE_S = 2.0
"""So long (s here) news of the beamline are waited for."""
FUTURE_NS = 60_000_000_000
"""By so much (server's clock) may a change of the beam be told ahead."""

DOSE_STEPS = 100
"""In how many steps the damage grows to 1/e."""

TICK_MS = 10
"""Real time (ms) between blocks."""


@dataclass(frozen=True)
class Settings:
    """How the server behaves, besides faults.

    Attributes
    ----------
    source_kind : str
        Hardware it has: "RESONATOR", "ABACO" or "LANCERO".
    speed : float
        Server seconds per real second.
    epoch_ns : int or None
        Real time (ns since 1970) at which the server's clock agrees with it; None: the start.
    seed : int
    sample : str
        In the beam until told otherwise.
    data : str
        Folder for runs when a call names none.
    projectors : bool
        Whether channels have projectors when a source starts; a real server has none before
        somebody loads them.
    records : bool
        Whether whole records are sent too.
    lag_s : float
        Real time (s) from a pulse to its message; changes of the beam that are told later than
        this come too late for photons that are on their way.
    """

    source_kind: str = "RESONATOR"
    speed: float = 1.0
    epoch_ns: int | None = None
    seed: int = 1
    sample: str = "lmr_charged"
    data: str = "."
    projectors: bool = True
    records: bool = False
    lag_s: float = 0.01


class DastardServer:
    """Serves until the process ends.

    Parameters
    ----------
    settings : Settings
    sockets : Sockets
        Bound.
    array : TesArray
    model : RixsModel

    Attributes
    ----------
    lock : threading.RLock
        Held while a block is drawn and while a call is carried out.
    drawn_ns : int
        Server time (ns) up to which photons were sent.
    on_photons : callable or None
        Gets times (ns) and true energies (eV) of the photons of every block.
    """

    def __init__(self, settings: Settings, sockets: Sockets, array: TesArray, model: RixsModel):
        self.settings, self.array, self.model = settings, array, model
        self.source_kind = settings.source_kind
        self.clock = ServerClock(settings.speed, settings.epoch_ns)
        self.faults = ServerFaults()
        self.status = StatusPublisher(sockets.status)
        self.writing = Writing(settings.data, self.faults, self._make_files)
        self.lock = threading.RLock()
        self.source: Source | None = None
        self._methods = Methods(self)
        self._rpc = RpcServer(sockets.rpc, self.call)
        self._control = sockets.control
        self._stream = PhotonStream(sockets.summaries, sockets.records, self.faults, settings.seed)
        self._history = BeamHistory(BeamState(sample=settings.sample))
        self.on_photons: Callable[[NDArray[np.int64], NDArray[np.float64]], None] | None = None
        self._emission = lru_cache(512)(self._compute_emission)
        for name in model.samples:  # the first of each takes a while
            self._emission(name, (), START_ENERGY, 0)
        self._dose: defaultdict[str, float] = defaultdict(float)
        self._lost_until_ns = self._n_lost = self._n_triggers = 0
        self._first_ns: int | None = None
        self._lag_ns = round(settings.lag_s * settings.speed * 1e9)
        self._patience_ns = round(PATIENCE_S * settings.speed * 1e9)
        self._told_ns: int | None = None
        self.drawn_ns = 0
        self._rates: TriggerRates | None = None
        self._late_status: list[tuple[int, int, str, Any]] = []
        self._order = itertools.count()
        self._alive_ns = self._written_ns = 0
        self._data_mb = 0.0

    # -- calls --------------------------------------------------------------------------------

    def call(self, method: str, arg: Any) -> Any:
        """Answer a call, unless a fault is in the way.

        Raises
        ------
        GoError
            With the text that the client gets.
        """
        self._hang_if_quiet()
        if self.faults.rpc_slow_s:
            threading.Event().wait(self.faults.rpc_slow_s)
        result = self._methods(method, arg)
        self._hang_if_quiet()
        return result

    def _hang_if_quiet(self) -> None:
        if self.faults.quiet:
            threading.Event().wait()

    def start_source(self) -> Source:
        """Make the source of this server's hardware active."""
        pulses = self.array.pulses
        source = Source(self.source_kind, len(self.array), pulses.n_samples, pulses.n_presamples)
        if self.settings.projectors:
            for pixel in range(len(self.array)):
                source.set_projectors(
                    source.index(pixel), pulses.projectors, pulses.basis, "simulated pulses"
                )
        self.source = source
        self.drawn_ns = self._written_ns = self.clock.now_ns() - self._lag_ns
        self._first_ns = self._first_ns or self.drawn_ns
        self._rates = TriggerRates(source.nchan, self.drawn_ns)
        return source

    def stop_source(self) -> None:
        """Make the source inactive, and stop writing."""
        self.source, self._rates = None, None
        try:
            self.writing.stop(self.clock.now_ns())
        except OSError as exc:  # nobody is told: the call was to stop the source
            log.error("write %s: %s", exc.filename, go_os_error(exc))

    def _make_files(self, pattern: str, source: Source, formats: Mapping[str, bool]) -> RunFiles:
        return RunFiles(
            pattern,
            source,
            frame_ns=self.array.pulses.frame_ns,
            start_ns=self.clock.epoch_ns,
            off=formats["WriteOFF"],
            ljh=formats["WriteLJH22"],
            waveforms=self.array.waveform,
        )

    def set_lengths(self, source: Source, nsamp: int, npre: int) -> None:
        """Change the records, and with them the dead time.

        Raises
        ------
        GoError
            Lengths that make no record of a pulse.
        """
        source.check_lengths(nsamp, npre)
        try:
            pulses = PulseModel(nsamp, npre, self.array.pulses.frame_ns)
        except ValueError as exc:
            raise GoError(str(exc)) from exc
        self.array.pulses = pulses
        source.set_lengths(nsamp, npre)

    def send_status(self) -> None:
        """Publish STATUS."""
        source = self.source
        pulses = self.array.pulses
        self.status.send(
            "STATUS",
            {
                "Running": source is not None,
                "SourceName": source.name if source else "",
                "Nchannels": source.nchan if source else 0,
                "Nsamples": source.nsamp if source else pulses.n_samples,
                "Npresamp": source.npre if source else pulses.n_presamples,
                "SamplePeriod": pulses.frame_ns,
                "ChanGroups": source.groups if source else [],
                "ChannelsWithProjectors": sorted(source.projectors) if source else [],
            },
        )

    def send_writing(self) -> None:
        """Publish WRITING, late where a fault says so."""
        delay = round(self.faults.late_writing_s * 1e9)
        state = self.writing.state()
        if delay:
            due = (self.clock.now_ns() + delay, next(self._order), "WRITING", state)
            heapq.heappush(self._late_status, due)
        else:
            self.status.send("WRITING", state)

    # -- blocks -------------------------------------------------------------------------------

    def run(self) -> None:
        """Serve until interrupted."""
        self._rpc.start()
        self.status.send("NEWDASTARD", "new Dastard is running")
        self.send_status()
        self.send_writing()
        self._alive_ns = self.clock.now_ns()
        while True:
            if self._control.poll(TICK_MS):
                self._hear()
            with self.lock:
                self._tick()

    def _hear(self) -> None:
        """Take every message that waits on the control socket."""
        while True:
            try:
                text = self._control.recv(zmq.NOBLOCK)
            except zmq.Again:
                return
            try:
                message = json.loads(text)
                self._obey(message)
            except Exception as exc:  # whoever told nonsense, the server serves the others
                log.warning("control message %r: %s", text[:200], exc)

    def _obey(self, message: Any) -> None:
        if not isinstance(message, dict):
            raise TypeError("it is no object")
        if "fault" in message:
            self.faults.request(message["fault"])
            self.status.silent = self.faults.quiet
        when = self.clock.of_real(message["time"]) if "time" in message else self.clock.now_ns()
        if when > self.clock.now_ns() + FUTURE_NS:  # nothing told later would ever be true
            raise ValueError(f"time {message['time']} s is in the future")
        beam = self._history.latest.changed(message, self.model.samples)
        with self.lock:
            if message.get("goes_on"):
                self._told_ns = when
            if beam != self._history.latest:
                self._history.add(when, beam)
            if message.get("trigger") and self.source is not None:
                self._n_triggers += 1
                self.writing.trigger([self._frame(when)])

    def _frame(self, when_ns: int) -> int:
        """Frame number at a time (server ns)."""
        return (when_ns - (self._first_ns or when_ns)) // self.array.pulses.frame_ns

    def _tick(self) -> None:
        now = self.clock.now_ns()
        while self._late_status and self._late_status[0][0] <= now:
            _, _, tag, content = heapq.heappop(self._late_status)
            self.status.send(tag, content)
        if self.source is not None and self._rates is not None:
            self._advance(self.source, self._rates, self._known_until(now))
            self._stream.send_due(now)
            self.writing.flush(now)
        self._report(now)

    def _known_until(self, now: int) -> int:
        """Until when (server ns) it is known what fell on the sample.

        A beamline that says regularly how far its news go is waited for: on a busy machine they
        come late, and photons of another beam would be taken for a change of the sample.
        """
        until = now - self._lag_ns
        if self._told_ns is None:
            return until
        return max(min(until, self._told_ns), now - self._patience_ns)

    def _report(self, now: int) -> None:
        """Send what goes out at intervals."""
        if now - self._alive_ns >= ALIVE_NS:
            time_s = (now - self._alive_ns) / 1e9
            self._alive_ns += (now - self._alive_ns) // ALIVE_NS * ALIVE_NS
            alive = {"Running": self.source is not None, "Time": time_s}
            self.status.send("ALIVE", alive | {"HWactualMB": 0, "DataMB": round(self._data_mb, 3)})
            self._data_mb = 0.0
        if self.writing.active and not self.writing.paused:
            if now - self._written_ns >= SECOND_NS:
                self._written_ns += (now - self._written_ns) // SECOND_NS * SECOND_NS
                self.status.send("NUMBERWRITTEN", {"NumberWritten": self.writing.numbers})

    def _advance(self, source: Source, rates: TriggerRates, until_ns: int) -> None:
        """Draw and send photons up to a time (server ns)."""
        margin = self.array.pulses.frame_ns  # photons are stamped with the frame they begin in
        if self.faults.data_drops:
            self._lose()
        while self.drawn_ns < until_ns:
            end = min(until_ns, rates.boundary_ns + margin)
            for begin_ns, end_ns, beam in self._history.stretches(self.drawn_ns, end):
                self._draw(source, rates, begin_ns, end_ns, beam)
            self.drawn_ns = end
            if end >= rates.boundary_ns + margin:
                self.status.send("TRIGGERRATE", rates.take())
                seen, self._n_triggers = self._n_triggers, 0
                self.status.send("EXTERNALTRIGGER", {"NumberObservedInLastSecond": seen})

    def _lose(self) -> None:
        """Lose the next stretch of data, before anything is triggered on."""
        self.faults.data_drops -= 1
        self._n_lost += 1
        self._lost_until_ns = self.drawn_ns + LOST_NS
        first = self._frame(self._lost_until_ns)
        self.writing.data_drop(first, first - self._frame(self.drawn_ns))
        self.status.send("DATADROP", {"TotalObserved": self._n_lost})

    def _draw(
        self, source: Source, rates: TriggerRates, begin_ns: int, end_ns: int, beam: BeamState
    ) -> None:
        bleached = self._bleached(beam.sample)
        emission = self._emission(beam.sample, beam.parts, round(beam.energy, 3), bleached)
        flux = beam.on_sample * self.faults.rate
        self._dose[beam.sample] += flux * (end_ns - begin_ns) * 1e-9
        drawn = self.array.draw(emission, flux, begin_ns, end_ns)
        kept = source.triggering[drawn["chan_index"]]
        if begin_ns < self._lost_until_ns:
            kept &= drawn["t_ns"] >= self._lost_until_ns
        if not kept.any():
            return
        if not kept.all():
            drawn = drawn[kept]
        if self.on_photons is not None:
            self.on_photons(drawn["t_ns"], self.array.energy_truth[kept])
        photons = np.zeros(len(drawn), summary_dtype(drawn["coefs"].shape[1]))
        for name in drawn.dtype.names or ():
            photons[name] = drawn[name]
        photons["chan_index"] = source.index(drawn["chan_index"])
        photons["npre"], photons["nsamp"] = source.npre, source.nsamp
        rates.add(photons)
        n_coefs = source.n_coefs[photons["chan_index"]]
        self._stream.send(photons, n_coefs, self.clock.now_ns())
        self.writing.add(photons)
        self._data_mb += len(photons) * 2 * source.nsamp / 1e6
        if self.settings.records:
            frame_s = self.array.pulses.frame_ns * 1e-9
            self._stream.send_records(photons, self.array.waveform(drawn), frame_s)

    def _bleached(self, sample: str) -> int:
        """Steps of damage that a sample has had."""
        full = self.model.damage_dose
        return 0 if full is None else int(self._dose[sample] / full * DOSE_STEPS)

    def _compute_emission(
        self, sample: str, parts: tuple[tuple[str, float], ...], energy: float, bleached: int
    ) -> Emission:
        low, high = EXCITATION_RANGE
        if not low <= energy <= high:
            log.warning("no photons: %g eV is outside the model's %g to %g eV", energy, low, high)
            return Emission(np.zeros_like(self.model.emission(sample, low).rate), energy)
        dose = bleached / DOSE_STEPS * (self.model.damage_dose or 0.0)
        if parts:
            return self.model.mixture(dict(parts), energy, dose)
        return self.model.emission(sample, energy, dose)
