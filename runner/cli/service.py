"""The service behind `runner serve`: one leader that looks on time, and starts a tick of what is due."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import AbstractContextManager, closing
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from threading import Event, Thread
from typing import TYPE_CHECKING, Any

from runner.cli import output
from runner.cli.scheduled import load_scheduled, seconds_to_next, with_work
from runner.cli.tick_processes import TickProcess
from runner.cli.workplace import open_workplace
from runner.due import rests
from runner.errors import ExitCode, LedgerError, Refusal, RunnerError
from runner.ledger.interface import Holder, Ledger, LockHeld, LockLost, LockToken
from runner.ledger.lock_names import SERVE_LOCK
from runner.project import Project

if TYPE_CHECKING:
    from runner.reports.metrics import Facts

#: A standby looks this often whether the leader is gone, in seconds; sooner if it would tick sooner.
_STANDBY_SECONDS = 5.0
#: A leader that has not looked for so long, in seconds, is not well; or three times its interval.
_SILENT_SECONDS = 90.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What a service was told: campaigns, seconds between looks at most, campaigns at a time."""

    paths: tuple[Path, ...]
    every: float
    parallel: int
    standby: bool
    sandbox: bool


@dataclass(slots=True, kw_only=True)
class _Running:
    """A tick that was started: its process, and what it said once it is over."""

    process: TickProcess
    thread: Thread
    entries: list[dict[str, Any]] = field(default_factory=list)


class Service:
    """Looks, starts ticks and waits, until `stop` is set. What it is doing, other threads may ask."""

    def __init__(self, settings: Settings, project: Project, holder: Holder) -> None:
        self._settings = settings
        self._project = project
        self._holder = holder
        self._running: dict[Path, _Running] = {}
        self._said: frozenset[str] = frozenset()
        self._broken = 0
        self._last_tick_at: float | None = None
        self._error: str | None = "it has not looked yet"
        self._led_by: str | None = None
        self._is_leader = False
        self.stop = Event()

    def lead(self) -> LockToken | None:
        """Wait until nobody else leads, and take the lead; None when it was stopped before."""
        while not self.stop.wait(min(self._settings.every, _STANDBY_SECONDS)):
            token = self.try_to_lead()
            if token is not None:
                return token
        return None

    def run(self, token: LockToken) -> ExitCode:
        """Tick until stopped, then wait for what is in flight; LockLost when another one has taken over."""
        try:
            while not self.stop.is_set():
                self.stop.wait(self._look(token))
        finally:
            self._is_leader = False
            code = self._wind_up()
            with self._ledger() as ledger:
                ledger.release(token)
        return code

    def interrupt(self) -> None:
        """Begin to stop; once more ends what still runs at once."""
        if self.stop.is_set():
            self._stop_ticks()
        self.stop.set()

    def health(self) -> tuple[bool, dict[str, Any]]:
        """Tell whether all is well, and what it is doing."""
        silent = max(3 * self._settings.every, _SILENT_SECONDS)
        reason = self._error
        if self._is_leader and reason is None and time.time() - (self._last_tick_at or 0) > silent:
            reason = f"it has not looked for {silent:g} s"
        document = {
            "status": "failing" if reason else "ok",
            "reason": reason,
            "leader": self._is_leader,
            "led_by": self._led_by,
            "last_tick_at": _iso(self._last_tick_at),
            "running": sorted(output.shown(path) for path in list(self._running)),
        }
        return reason is None, document

    def facts(self) -> Facts:
        """Return what is to be measured."""
        from runner.ledger import open_ledger
        from runner.reports.metrics import Facts

        try:
            url, root = self._project.ledger, self._project.root
            with closing(open_ledger(url, root=root, read_only=True)) as ledger:
                summary, firings = ledger.summary(), ledger.firing_counts()
        except RunnerError:
            summary, firings = None, None
        return Facts(
            is_leader=self._is_leader,
            last_tick_at=self._last_tick_at,
            ticks_running=len(self._running),
            broken_files=self._broken,
            summary=summary,
            firings=firings,
        )

    def try_to_lead(self) -> LockToken | None:
        """Take the lead if nobody else has it; Refusal, which says who, for one that is not to stand by."""
        try:
            with self._ledger() as ledger:
                token = ledger.acquire(SERVE_LOCK, self._holder, time.time())
        except LockHeld as held:
            if not self._settings.standby:
                raise Refusal(
                    f"this ledger is served already, by {held.by}",
                    hint="stop that one, or start this one with --standby: it takes over when that is gone",
                ) from held
            if self._led_by != held.by:
                output.say(f"standing by: {held.by} leads")
            self._led_by, self._error = held.by, None
        except LedgerError as error:
            if not self._settings.standby:
                raise
            self._error = error.message
            self._say([error])
        else:
            self._is_leader, self._led_by = True, None
            return token
        return None

    def _ledger(self) -> AbstractContextManager[Ledger]:
        from runner.ledger import open_ledger

        return closing(open_ledger(self._project.ledger, root=self._project.root))

    def _look(self, token: LockToken) -> float:
        """Start a tick of each campaign that has something to do; return how long to wait, in seconds."""
        self._reap()
        now = datetime.now(timezone.utc)
        try:
            with open_workplace(rehearsal=self._settings.sandbox) as workplace:
                if workplace.project.ledger != self._project.ledger:
                    raise Refusal("runner.yml names another ledger now", hint="start the service anew")
                scheduled = load_scheduled(self._settings.paths, workplace)
                with self._ledger() as ledger:
                    ledger.heartbeat(token, now.timestamp())
                    work = with_work(scheduled, ledger, self._holder, now)
        except LockLost:
            raise
        except RunnerError as error:
            self._error = error.message
            self._say([error])
            return self._settings.every
        self._error, self._last_tick_at, self._broken = None, now.timestamp(), len(scheduled.errors)
        self._say(scheduled.errors)
        for path, _, records in work:
            if not all(rests(record, now) for record in records):
                self._start(path)
        return seconds_to_next(scheduled, datetime.now(timezone.utc), self._settings.every)

    def _start(self, path: Path) -> None:
        if path in self._running or len(self._running) >= self._settings.parallel:
            return
        flags = ["--sandbox"] if self._settings.sandbox else []
        process = TickProcess(path, *flags)
        entries: list[dict[str, Any]] = []
        thread = Thread(target=lambda: entries.extend(process.entries()), name="tick", daemon=True)
        self._running[path] = _Running(process=process, thread=thread, entries=entries)
        thread.start()

    def _reap(self) -> list[_Running]:
        """Forget the ticks that are over, and return them."""
        over = {path: each for path, each in self._running.items() if not each.thread.is_alive()}
        for path in over:
            del self._running[path]
        return list(over.values())

    def _wind_up(self) -> ExitCode:
        """Have all ticks finish what is in flight; say whether that left something to do."""
        self._stop_ticks()
        ended = list(self._running.values())
        for each in ended:
            each.thread.join()
        codes = {entry["exit_code"] for each in ended for entry in each.entries}
        return ExitCode.INTERRUPTED if ExitCode.INTERRUPTED in codes else ExitCode.DONE

    def _stop_ticks(self) -> None:
        for each in list(self._running.values()):
            each.process.stop()

    def _say(self, errors: Sequence[RunnerError]) -> None:
        """Report what is wrong, each thing once until it is put right."""
        for error in errors:
            if error.message not in self._said:
                output.report(error)
        self._said = frozenset(error.message for error in errors)


def _iso(at: float | None) -> str | None:
    return None if at is None else datetime.fromtimestamp(at, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
