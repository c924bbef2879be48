"""Waits for the end of a run (signals, the end of COMMAND, a failed log, a limit), and handles signals."""

from __future__ import annotations

import os
import signal
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
from anyio.abc import TaskGroup, TaskStatus

from mockrec.cli import control, printing
from mockrec.cli.child import Child
from mockrec.cli.codes import COMMAND_NOT_RUN, RECORDING_FAILED
from mockrec.cli.defects import report_defect
from mockrec.cli.live_lines import LiveLines
from mockrec.cli.output_pauses import OutputWatch
from mockrec.cli.signals import Signals
from mockrec.engine.errors import ConfigError, RuleFileError
from mockrec.engine.recording.ending import Ending
from mockrec.engine.usercode.failure import place_in

if TYPE_CHECKING:
    from mockrec.engine.run.run import Run

_WATCH_SECONDS = 0.5
_SLACK_SECONDS = 0.4
"""Seconds for the end of a run beyond the grace, if something hangs."""
_CTRL_CS = 2
"""Presses of Ctrl-C that are left to COMMAND, which receives them too; the next one ends the run, with its grace."""


class Supervisor:
    """Waits for the first reason to end the run."""

    def __init__(self, run: Run, *, watch: bool, no_proxy: str | None, isolate: bool = False) -> None:
        """`isolate`: COMMAND gets a network of its own, with nothing but the recorder."""
        self._run = run
        # The state when the rules were read: a change from now on must be noticed.
        self._watched = _state(Path(run.settings.loaded.rule_file.path)) if watch else None
        self._ended = anyio.Event()
        self._reloading = anyio.Lock()
        self._ending = Ending("stopped")
        self.live_lines: LiveLines | None = None
        """Lines that must not cut into COMMAND's output."""
        command = run.settings.command
        self._ctrl_cs = 0
        self._passed_on = 0
        self._child = (
            Child(
                command,
                no_proxy,
                stdout_taken="-" in run.settings.outputs,
                ca=run.ca,
                auth=run.settings.server.auth,
                listen_also=run.listen_also if isolate else None,
            )
            if command
            else None
        )

    def finish(self, ending: Ending) -> None:
        """End the run. The first reason counts."""
        if not self._ended.is_set():
            self._ending = ending
            self._ended.set()

    async def wait(self, seconds: float | None) -> Ending:
        """Return when the run has to end. `seconds` is the longest duration."""
        if self._child is not None:
            # Before anything that could end the run: a half-started process would not be ended.
            code = await self._child.start(self._run.url, self._run.port, control.variables(self._run))
            if code is not None:
                return Ending("command ended", code)
            if self.live_lines is not None and self._child.shares_stderr:
                self.live_lines.watch = OutputWatch(self._child.pid)
        async with anyio.create_task_group() as group:
            group.start_soon(self._await_failure)
            if seconds is not None:
                group.start_soon(self._await_limit, seconds)
            if self._watched is not None:
                group.start_soon(self._watch_file)
            if self._child is not None:
                group.start_soon(self._run_child, self._child)
            await self._ended.wait()
            if self._child is not None and self._child.running:
                with anyio.CancelScope(shield=True):
                    self._ending.exit_code = await self._child.end(self._run.settings.grace)
            group.cancel_scope.cancel()
        return self._ending

    async def _await_failure(self) -> None:
        await self._run.stop_asked.wait()
        self.finish(Ending("recording failed", RECORDING_FAILED))

    async def _await_limit(self, seconds: float) -> None:
        await anyio.sleep(seconds)
        self.finish(Ending("stop-after"))

    async def _run_child(self, child: Child) -> None:
        self.finish(Ending("command ended", await child.wait()))

    # ── signals ────────────────────────────────────────────────────────────────────────────────────

    async def watch_signals(self, *, task_status: TaskStatus[None]) -> None:
        """Handle signals until cancelled. If the event loop is blocked, end the process without it."""
        wanted = [signal.SIGINT, signal.SIGTERM]
        if hasattr(signal, "SIGHUP"):
            wanted.append(signal.SIGHUP)
        signals = Signals(self._run.settings.grace + _SLACK_SECONDS, self._held_up)
        with signals.received(wanted):
            task_status.started()
            async with anyio.create_task_group() as group:
                async for number in signals:
                    self._act_on(signal.Signals(number), group)

    def _held_up(self, number: int) -> None:
        """In a thread: the event loop is blocked and does not take a signal."""
        place = place_in(sys._current_frames().get(threading.main_thread().ident or 0))
        words = f"the event loop is held up{f', at {place}' if place else ''}; the log is closed without it"
        threading.Thread(target=printing.warn, args=(words,), daemon=True).start()  # stderr itself may block
        ending = self._ending if self._ended.is_set() else Ending(signal.Signals(number).name)
        if self._child is not None:
            self._child.kill()
        try:
            whole = self._run.end_now(ending, _SLACK_SECONDS)
        except Exception as error:  # nothing may keep the process alive
            report_defect(error)
            whole = False
        code = ending.exit_code if whole else RECORDING_FAILED
        os._exit(code if self._child is None or whole else COMMAND_NOT_RUN)

    def _act_on(self, one: signal.Signals, group: TaskGroup) -> None:
        """Handle a signal. Work that takes time runs as a task of `group`."""
        child = self._child
        if self._ended.is_set():
            # The second signal: no more grace, for exchanges and for COMMAND.
            self._run.hurry()
            if child is not None:
                child.kill()
        elif child is not None and child.running:
            if one == signal.SIGINT and _from_our_terminal():
                self._ctrl_cs += 1
            else:
                self._passed_on += 1
                child.signal(one)
            if self._passed_on > 1 or self._ctrl_cs > _CTRL_CS:
                self.finish(Ending(one.name))  # COMMAND ignored it
        elif one == getattr(signal, "SIGHUP", None) and child is None and not _on_a_terminal():
            self._reopen()
            group.start_soon(self._reload)
        else:
            self.finish(Ending(one.name))

    def _reopen(self) -> None:
        """Reopen outputs under their names after a rename."""
        opened, taken = self._run.reopen()
        for path in opened:
            printing.note(f"recording continues in a new {printing.escape(path)}")
        for path in taken:
            printing.warn(f"{printing.escape(path)} has been replaced; recording continues in the renamed file")

    # ── rules ──────────────────────────────────────────────────────────────────────────────────────

    async def _reload(self) -> None:
        """Reload the rules. A file that cannot be used changes nothing."""
        try:
            async with self._reloading:
                loaded = await self._run.reload()
        except (ConfigError, RuleFileError) as error:
            printing.problems(printing.escape(str(error), keep_lines=True))
            printing.fail("the rules stay as they were")
            return
        for warning in loaded.warnings:
            printing.warn(printing.escape(str(warning)))
        printing.note(f"rules reloaded: {printing.plural(len(loaded.rule_file.rules), 'rule')}")

    async def _watch_file(self) -> None:
        path = Path(self._run.settings.loaded.rule_file.path)
        while True:
            await anyio.sleep(_WATCH_SECONDS)
            now = _state(path)
            if now is not None and now != self._watched:
                self._watched = now
                await self._reload()


def _state(path: Path) -> tuple[int, int, int] | None:
    """Return what changes when the file changes; None while an editor has removed the file."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


def _on_a_terminal() -> bool:
    """Whether a SIGHUP means that the terminal has gone; without a terminal it asks for a reload of the rules."""
    return sys.stdin is not None and sys.stdin.isatty()


def _from_our_terminal() -> bool:
    """Whether a SIGINT came from Ctrl-C, which COMMAND receives too: it is in the same process group."""
    try:
        return os.tcgetpgrp(sys.stdin.fileno()) == os.getpgrp()
    except (OSError, ValueError, AttributeError):
        return False
