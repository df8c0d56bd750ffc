"""Programs that run as real processes, and are killed, stopped and started again like real ones.

A program that ends by itself is started again, as a service manager would; that it did is kept, because a
service should outlive what its neighbours do. Each has a session of its own, so that it can be ended with
all that it has started.
"""

import asyncio
import os
import signal
import sys
from asyncio.subprocess import DEVNULL, Process
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Protocol

ROOT = Path(__file__).parents[1]
AGAIN_AFTER = 0.5
"""Seconds until a program that ended by itself is started again."""


class Victim(Protocol):
    """Whatever faults are done to. `lock` is held while one lasts."""

    lock: asyncio.Lock

    async def kill(self) -> None: ...

    async def start(self) -> None: ...

    def pause(self) -> None: ...

    def resume(self) -> None: ...

    def pids(self) -> list[int]: ...


class Program:
    """One command. Its output goes to a file."""

    def __init__(
        self, name: str, command: Sequence[str], log: Path, environment: Mapping[str, str], *, works: str
    ) -> None:
        self.name = name
        self.lock = asyncio.Lock()
        self.ended_by_itself: list[str] = []
        self._command = command
        self._log = log
        self._environment = environment
        self._works = works
        """What it says once it works."""
        self._wanted = False
        self._process: Process | None = None
        self._keeper: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Have it running; this does not wait until it works."""
        self._wanted = True
        await self._launch()
        self._keeper = asyncio.create_task(self._keep())

    async def working(self) -> None:
        """Return when it has said that it works."""
        while not self._has_said_it_works():  # noqa: ASYNC110 - a file announces nothing
            await asyncio.sleep(0.05)

    async def kill(self) -> None:
        self._wanted = False
        self._signal(signal.SIGKILL)
        if self._keeper is not None:
            await self._keeper
            self._keeper = None

    def pause(self) -> None:
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        self._signal(signal.SIGCONT)

    def pids(self) -> list[int]:
        return [] if self._process is None else [self._process.pid]

    async def _keep(self) -> None:
        while self._wanted:
            assert self._process is not None
            code = await self._process.wait()
            if self._wanted:
                worked = "after it had worked" if self._has_said_it_works() else "before it worked"
                self.ended_by_itself.append(f"{self.name} ended by itself with {code} {worked}")
                await asyncio.sleep(AGAIN_AFTER)
            if self._wanted:
                await self._launch()

    async def _launch(self) -> None:
        with self._log.open("ab") as output:
            self._began_at = output.tell()
            self._process = await asyncio.create_subprocess_exec(
                *self._command,
                stdin=DEVNULL,
                stdout=output,
                stderr=output,
                cwd=ROOT,
                env={**os.environ, **self._environment},
                start_new_session=True,
            )

    def _has_said_it_works(self) -> bool:
        return self._works.encode() in self._log.read_bytes()[self._began_at :]

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None and self._process.returncode is None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, number)


def bullflow(name: str, *arguments: str, log: Path, environment: Mapping[str, str]) -> Program:
    """One of bullflow's own commands."""
    command = [sys.executable, "-m", "bullflow.cli.main", *arguments]
    works = {"api": "is ready", "up": "is ready", "recorder": "is ready", "worker": "worker.started"}[arguments[0]]
    return Program(name, command, log, environment, works=works)
