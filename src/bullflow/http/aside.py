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
from datetime import timedelta
from multiprocessing.connection import wait
from threading import Thread
from typing import Any, TypeVar

from bullflow.errors import ReaderAway

T = TypeVar("T")

LESS_URGENT = 10
WITHIN = timedelta(seconds=60)
THINGS = 200
"""So many things one process does: what large ones have left in its memory is given back with it."""


class Aside:
    """One process, which does one thing after the other, in the order in which they come."""

    def __init__(self) -> None:
        self._pool: ProcessPoolExecutor | None = None
        self._turn = asyncio.Lock()
        self._begun = 0
        self._is_closed = False

    async def do(self, work: Callable[..., T], *arguments: Any) -> T:
        """What `work` returns or raises there; a function of a module, like all that it is given. Raises ReaderAway.

        Only one thing is in the process at a time, so that one which takes too long is given up alone.
        """
        async with self._turn:
            try:
                async with asyncio.timeout(WITHIN.total_seconds()):
                    return await asyncio.get_running_loop().run_in_executor(self._started(), work, *arguments)
            except (BrokenProcessPool, TimeoutError, OSError) as error:
                self._end()
                raise ReaderAway(error) from error
            finally:
                # The pool's own way of doing so (`max_tasks_per_child`) may stand still for ever in Python 3.11.
                if self._begun >= THINGS:
                    self._end()

    def _started(self) -> ProcessPoolExecutor:
        if self._is_closed:
            raise BrokenProcessPool("the service stops")
        if self._pool is None:
            self._pool, self._begun = ProcessPoolExecutor(1, multiprocessing.get_context("spawn"), _begin), 0
        self._begun += 1
        return self._pool

    def close(self) -> None:
        """End the process, whatever it does, and start no other."""
        self._is_closed = True
        self._end()

    def _end(self) -> None:
        pool, self._pool = self._pool, None
        if pool is not None:
            processes = list((pool._processes or {}).values())
            pool.shutdown(wait=False, cancel_futures=True)
            for process in processes:
                process.kill()


def _begin() -> None:
    # Terminals and supervisors send these to all; whoever has started this one ends it.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    os.nice(LESS_URGENT)
    Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)
