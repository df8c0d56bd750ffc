"""Several processes of one command under one that looks after them, for all cores of a machine.

Each is told to end when this one is, and is waited for. One that dies is started anew, after a pause that
grows while it keeps dying. What ends with an error before anything has ever run well would only do so
again, so that is the end of all. When this process is killed, the others notice by themselves (see `run_workers`).
"""

import asyncio
import os
import sys
from asyncio.subprocess import DEVNULL, Process
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import timedelta
from typing import Any

from structlog.typing import FilteringBoundLogger

from bullflow.errors import Misconfigured
from bullflow.loop import Pauses, side_by_side, told_to_stop

RUNS_WELL = timedelta(seconds=10)
"""What lives so long has started well."""
LONGEST_PAUSE = timedelta(seconds=30)
NOT_STARTED = -1
"""Instead of an exit code: the machine had no room for another process, which may pass."""


def worker_command(targets: Sequence[str], flags: Mapping[str, Any]) -> list[str]:
    """The command that is one of several processes. Flags are named as the settings; None is not given.

    Whoever is on the machine can read a command, so an address that may hold a password is not among the flags.
    """
    given = [
        part for name, value in flags.items() if value is not None for part in (f"--{name.replace('_', '-')}", value)
    ]
    command = [sys.executable, "-m", "bullflow.cli.main", "worker", *targets, "--under", os.getpid(), *given]
    return [str(part) for part in command]


async def supervise(
    command: Sequence[str],
    count: int,
    log: FilteringBoundLogger,
    *,
    redis_url: str | None = None,
    stop: asyncio.Event | None = None,
) -> None:
    """Keep so many processes running until `stop` is set, without one until SIGTERM or SIGINT.

    They are told the engine's url by their environment. Raises Misconfigured when they end at once.
    """
    stop = stop or told_to_stop()
    environment = {**os.environ, **({} if redis_url is None else {"BULLFLOW_REDIS_URL": redis_url})}
    crew = _Crew(command, environment, log, stop)
    stopping = asyncio.create_task(crew.stop())
    try:
        await side_by_side(*(crew.keep_one() for _ in range(count)))
    finally:
        stopping.cancel()


class _Crew:
    def __init__(
        self, command: Sequence[str], environment: Mapping[str, str], log: FilteringBoundLogger, stopping: asyncio.Event
    ) -> None:
        self._command = command
        self._environment = environment
        self._log = log
        self._loop = asyncio.get_running_loop()
        self._since = self._loop.time()
        self._running: set[Process] = set()
        self._stopping = stopping

    async def stop(self) -> None:
        """When it is time to stop, tell what runs to end; nothing more is started then."""
        await self._stopping.wait()
        for process in self._running:
            _terminate(process)

    async def keep_one(self) -> None:
        """Have one process running until `stop`; return when it has ended."""
        pauses = Pauses(LONGEST_PAUSE)
        while not self._stopping.is_set():
            begun = self._loop.time()
            code = await self._run_one()
            if self._stopping.is_set():
                return
            if code > 0 and not self._ran_well_since(self._since):
                raise Misconfigured(f"a worker process ended at once, with exit code {code}; above is what it said")
            if self._ran_well_since(begun):
                pauses.reset()
            await self._rest(pauses)

    async def _run_one(self) -> int:
        try:
            process = await asyncio.create_subprocess_exec(*self._command, stdin=DEVNULL, env=self._environment)
        except OSError as error:
            self._log.warning("worker.process_not_started", error=str(error))
            return NOT_STARTED
        self._running.add(process)
        self._log.info("worker.process_started", pid=process.pid)
        if self._stopping.is_set():
            _terminate(process)  # it was not there yet when the others were told
        try:
            code = await process.wait()
        except asyncio.CancelledError:
            # Who has been told to end, and is not waited for any longer, has had its time.
            (_kill if self._stopping.is_set() else _terminate)(process)
            await process.wait()
            raise
        finally:
            self._running.discard(process)
        if not self._stopping.is_set():
            self._log.warning("worker.process_died", pid=process.pid, code=code)
        return code

    def _ran_well_since(self, instant: float) -> bool:
        return self._loop.time() - instant > RUNS_WELL.total_seconds()

    async def _rest(self, pauses: Pauses) -> None:
        parts = {asyncio.create_task(pauses.rest()), asyncio.create_task(self._until_stopping())}
        try:
            await asyncio.wait(parts, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for part in parts:
                part.cancel()

    async def _until_stopping(self) -> None:
        await self._stopping.wait()


def _terminate(process: Process) -> None:
    with suppress(ProcessLookupError):
        process.terminate()


def _kill(process: Process) -> None:
    with suppress(ProcessLookupError):
        process.kill()
