"""The transition-edge-sensor spectrometer as an ophyd device."""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ophyd.device import Staged
from ophyd.status import Status

from ...documents import NOT_CHOSEN
from ...formats import PhotonAsset, PhotonListWriter
from .._base import DeviceError, Move, done, logged, then
from .._light import check_light, watch_light
from .._watched import Way, watchable
from ._acquisition import Acquisition, Setup
from ._calibrated import CalibratedTES
from ._calibrator import Calibrator
from ._conditions import TESConditions
from ._parts import PhotonCollector, Totals
from ._result import PointResult, describe_point, yield_windows
from ._run import Run
from ._server_watch import ServerWatch

__all__ = ["TES"]

log = logging.getLogger("redoxscope.tes")

RATE_PERIOD = 1.0
"""Server's interval (s) between two counts of pulses."""


class TES(CalibratedTES):
    """Microcalorimeter array behind a Dastard: a point is a window in photon time.

    Each photon carries the server's time. `trigger` opens a window of ``dwell`` seconds of that
    clock; its status is done when the stream of photons itself has passed the window's end, so a
    photon counts for the point in which it happened and not for the one in which it arrived.
    Photons that come too late for their point, and those that never come, are counted. All
    photons go into a list on disk, with the point each belongs to.

    ``stage`` brings the server from any state to writing a new run; ``stop``, ``pause`` and
    ``unstage`` abandon the window that is open, at any moment. Both ``stage`` and ``unstage``
    return a status, for they talk to the server.

    Parameters
    ----------
    prefix : str
        Not used.
    name : str
    host : str
    port : int
        Base port of Dastard, 5500 but for a simulated one.
    backend : {"dastard", "scan_server"}
        Who is told of runs: Dastard, or the scan server that has Dastard in its hands. The
        photons come from Dastard either way.
    scan_server_port : int
        On the same host.
    source : str, optional
        Source to start where none runs, e.g. ``"LANCEROSOURCE"``; by default the microwave
        readout, by whatever name the server knows it.
    photon_directory : str or pathlib.Path
        Where the photon lists go.
    """

    def __init__(self, prefix: str = "", *, name: str = "tes", **kwargs: Any):
        super().__init__(prefix, name=name, **kwargs)
        self.run: Run | None = None
        self._told = (0, 0)
        self._reading: tuple[PointResult, dict[str, Any]] | None = None
        self.photons = PhotonCollector(self)
        self.totals = Totals(self)
        self.conditions = TESConditions(self)
        self.calibrator = Calibrator(name=f"{name}_calibrator", tes=self)

    def destroy(self) -> None:
        """Hang up; what the server writes it goes on writing."""
        self.conditions.release()
        super().destroy()
        self.calibrator.destroy()

    # -- a run ----------------------------------------------------------------------------

    def stage(self) -> Status:
        """Begin a run: check the settings, have the server write, open the photon list.

        Whatever an earlier run left behind, here or there, is closed first.

        Returns
        -------
        ophyd.status.Status
            Fails with `DastardError` or `DeviceError`.

        Raises
        ------
        ValueError
            Settings with which nothing can be measured.
        DeviceError
            Not connected; or (`BeamlineBusyError`) somebody else measures.
        """
        if self.shutter is not None:
            self.shutter.check_free()
        if self._staged != Staged.no:
            log.warning("%s was staged already; beginning anew", self.name)
            super().unstage()
        self.check_scan()
        if not self.photon_directory.get():
            raise ValueError(f"{self.name}: set {self.name}.photon_directory, where photons go")
        self.client  # noqa: B018  it says what is missing
        assert self._worker is not None
        super().stage()
        limit = self.time_limit.get()
        move = Move(f"{self.where}: beginning a run", 10 * limit)

        def work() -> None:
            try:
                self._begin()
            except Exception as exc:  # in this thread nobody would see it
                move.end(
                    exc if isinstance(exc, DeviceError) else DeviceError(f"{move.what}: {exc}")
                )
            else:
                move.end()

        self._worker.submit(work)
        return move

    def unstage(self) -> Status:
        """End the run, if this client began one.

        What fails is logged only, for it must not hide what ended the plan.
        """
        if self._staged == Staged.no:
            return done()
        super().unstage()
        self.conditions.release()
        move = Move(f"{self.where}: ending the run", 10 * self.time_limit.get())
        if self._worker is None or self._backend is None:
            move.end()
            return move
        backend = self._backend

        def work() -> None:
            self._end_run()
            logged(log, self.where, backend.end_run)
            move.end()

        self._worker.submit(work)
        return move

    def _begin(self) -> None:
        assert self._backend is not None
        self._end_run()
        self.run = None
        self.conditions.begin_run()
        self._apply_settings()
        label = f"RUN{uuid.uuid4().hex[:8]}"
        files = self._backend.begin_run(
            label,
            path=self.write_path.get(),
            off=self.write_off.get(),
            ljh=self.write_ljh.get(),
            calibrating=self.calibrating.get(),
        )
        receiver, client = self._receiver, self.client
        if files.stamp_ns is not None:
            receiver.clock.labelled(files.stamp_ns, files.sent)
        receiver.wait_clock(self.patience(RATE_PERIOD))
        receiver.check_speed()
        calibration, limit = self._calibration, self.pixel_limit.get()
        if calibration is not None and self.calibrating.get():
            if not set(calibration.usable.tolist()) & set(self.pixels.tolist()):
                calibration = None  # of another array; a new one is on its way
        elif calibration is not None and limit:
            calibration = calibration.of(calibration.best(limit).tolist())
        status = client.status.last("STATUS") or {}
        bins = self.bins
        setup = Setup(
            address=self.where,
            numbers=client.pixels(),
            calibration=calibration,
            bins=bins,
            lateness_ns=round(1e9 * self.lateness.get()),
            dead_time=1e-9 * status.get("Nsamples", 0) * status.get("SamplePeriod", 0),
            begin_ns=receiver.complete_since(client.status.linked_for),
            keep=self.calibrating.get(),
            projected=frozenset(status.get("ChannelsWithProjectors") or ()),
        )
        if not len(setup.counted):
            raise DeviceError(
                f"{self.where}: none of its {len(self.pixels)} pixels is usable in calibration "
                f"{self.calibration_uid.get()}"
            )
        self._tell_pixels(set(setup.counted.tolist()))
        name = f"{time.strftime('%Y%m%d-%H%M%S')}_{label}.h5"
        path = Path(self.photon_directory.get()) / name
        self.run_directory.put(files.directory)
        self.state_label.put(files.label)
        self.photon_list.put(str(path))
        try:
            writer = PhotonListWriter(
                path,
                calibration=None if calibration is None else calibration.to_dict(),
                attributes={k: v["value"] for k, v in self.read_configuration().items()},
            )
        except OSError as exc:
            raise DeviceError(f"{self.name}: no photon list can be made: {exc}") from exc
        acquisition = Acquisition(setup, receiver.clock, writer, receiver.publish)
        windows = yield_windows(self.windows.get(), bins)
        self._told, self._reading = (0, 0), None
        self.run = Run(acquisition, PhotonAsset(writer, self.source), path, bins, windows)
        receiver.hand_to(acquisition, ServerWatch(client.status.last, files.label))

    def _tell_pixels(self, counted: set[int]) -> None:
        """Say for each pixel whether it counts, and why not."""
        channels = self.pixels.tolist()
        known = (
            {} if self._calibration is None else {p.channel: p for p in self._calibration.pixels}
        )
        reasons = []
        for channel in channels:
            pixel = known.get(channel)
            if channel in counted:
                reasons.append("")
            elif pixel is None:
                reasons.append("not in the calibration")
            else:
                reasons.append(NOT_CHOSEN if pixel.ok else pixel.reason)
        self.pixel_channel.put(channels)
        self.pixel_ok.put([int(channel in counted) for channel in channels])
        self.pixel_reason.put(reasons)

    def _end_run(self) -> None:
        super()._end_run()
        if self.run is not None:
            logged(log, self.name, self.run.acquisition.finish)

    def staged_run(self, what: str) -> Run:
        """The run that was begun.

        Raises
        ------
        DeviceError
            None was; names ``what`` was to be done.
        """
        if self.run is None or self._staged == Staged.no:
            raise DeviceError(f"{self.name} is not staged: it cannot {what}")
        return self.run

    def trigger(self) -> Status:
        """Count for ``dwell`` from now on; a window that is open is abandoned.

        In a step scan the light is looked after here, as by the counters; a plan that has
        `conditions` watch the point judges it itself.

        Returns
        -------
        ophyd.status.Status
            Done when all photons of the window have come (or it was abandoned). Fails with
            `DeviceError` when the server ends or is silent, the photons cannot be kept, or the
            shutter moved meanwhile.

        Raises
        ------
        DeviceError
            Not staged; or the shutter is closed (with ``dark``: open).
        ValueError
            The shutter's dead man would close it during the dwell.
        """
        run = self.staged_run("count")
        dwell = self.dwell.get()
        shutter = None if self.conditions.watching else self.shutter
        check_light(self, shutter, dwell)
        need = self.point_time(dwell) + 2 * RATE_PERIOD
        move = Move(f"{self.where}: counting for {dwell:g} s of its clock", self.patience(need))
        check, end = watch_light(self, shutter)
        move.add_callback(end)
        try:
            point, start = run.acquisition.open(round(1e9 * dwell), move)
        except BaseException:
            move.end()
            raise
        self._tell_points(point, start, move)
        counted = move if shutter is None else then(move, check)
        seconds = self._receiver.clock.seconds_here(self.point_time(dwell))
        return watchable(counted, Way(self.name, "s", 0.0, seconds, seconds))

    def _tell_points(self, point: int, start_ns: int, move: Move) -> None:
        backend, worker, run = self._backend, self._worker, self.run
        if backend is None or worker is None or run is None or not backend.tells_points:
            return

        def tell(action: Callable[[], None]) -> None:
            try:
                action()
            except DeviceError as exc:
                run.acquisition.fail(exc)

        worker.submit(tell, lambda: backend.point_begun(point, start_ns))
        move.add_callback(lambda _: worker.submit(tell, backend.point_ended))

    def stop(self, *, success: bool = False) -> None:
        """Abandon the point that is open."""
        if self.run is not None:
            self.run.acquisition.abandon()

    def pause(self) -> None:
        """Abandon the point that is open; the plan measures it again."""
        self.stop()

    def resume(self) -> None:
        """Nothing: the plan goes on with a new point."""

    def back_after(self, error: BaseException) -> Status | None:
        """What to wait for where a point failed for lack of an answer; else None."""
        return self.conditions.back_after(error)

    # -- readings -------------------------------------------------------------------------

    def read(self) -> dict[str, Any]:
        """The point that was measured last.

        Raises
        ------
        DeviceError
            None was, or it was abandoned.
        """
        run = self.staged_run("be read")
        result = run.acquisition.result
        if result is None:
            raise DeviceError(f"{self.name}: no point was measured, or it was abandoned")
        if self._reading is None or self._reading[0] is not result:
            late, lost = result.late_total - self._told[0], result.lost_total - self._told[1]
            self._told = result.late_total, result.lost_total
            self._reading = result, result.read(run.windows, late, lost)
        return dict(self._reading[1])

    def describe(self) -> dict[str, Any]:
        """Data keys of a point (see `redoxscope.documents.POINT_KEYS`)."""
        counted = self._calibration is not None
        if self.run is not None and self._staged != Staged.no:
            counted = self.run.acquisition.setup.calibration is not None
            return describe_point(self.source, self.run.windows, self.run.bins, counted=counted)
        windows = yield_windows(self.windows.get(), self.bins)
        return describe_point(self.source, windows, self.bins, counted=counted)

    @property
    def hints(self) -> dict[str, Any]:
        return {"fields": ["tes_counts"]}
