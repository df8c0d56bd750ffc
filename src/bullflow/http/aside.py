"""A process of its own for what would keep everybody else waiting: Python runs one thing at a time in each process.

It is started when it is first needed, runs with lower priority, and ends with this one, also when this one is killed.
Should it die, it is started anew with the next thing to do.
"""

import asyncio
import multiprocessing
import os
import signal
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.connection import wait
from threading import Thread
from typing import Any, TypeVar

from bullflow.errors import Away

T = TypeVar("T")

LESS_URGENT = 10
THINGS = 200
"""So many things one process does: what large ones have left in its memory is given back with it."""


class ReaderAway(Away):
    part = "process that reads large requests"


class Aside:
    """One process, which does one thing after the other."""

    def __init__(self) -> None:
        self._pool: ProcessPoolExecutor | None = None

    async def do(self, work: Callable[..., T], *arguments: Any) -> T:
        """What `work` returns or raises there; a function of a module, like all that it is given. Raises ReaderAway."""
        pool = self._pool
        if pool is None:
            context = multiprocessing.get_context("spawn")
            pool = ProcessPoolExecutor(1, context, _begin, max_tasks_per_child=THINGS)
            self._pool = pool
        try:
            return await asyncio.get_running_loop().run_in_executor(pool, work, *arguments)
        except BrokenProcessPool as error:
            if self._pool is pool:
                self._pool = None
            raise ReaderAway("it has ended") from error

    def close(self) -> None:
        """End the process, whatever it does."""
        pool, self._pool = self._pool, None
        if pool is not None:
            processes = list((pool._processes or {}).values())
            pool.shutdown(wait=False, cancel_futures=True)
            for process in processes:
                process.kill()


def _begin() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal sends it to all; whoever has started this one ends it
    os.nice(LESS_URGENT)
    Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)
