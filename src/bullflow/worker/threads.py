"""Threads for plain functions. They are daemons: one that does not end must not keep the process from ending.

Python's own pool joins its threads when the process exits, so a handler that ignores its time limit would
have to be killed.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from contextvars import copy_context
from threading import Thread
from typing import Any

from bullflow.errors import JobFailure


class Threads:
    """One thread for each running function, at most `most`, those left behind by time limits included."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._running = 0

    def start(self, work: Callable[[], Any]) -> "asyncio.Future[Any]":
        """Run `work`, which must not raise; raises JobFailure when too many have not ended."""
        if self._running >= self._most:
            raise JobFailure(f"{self._most} handlers of this worker have not ended after their time limits")
        loop = asyncio.get_running_loop()
        done: asyncio.Future[Any] = loop.create_future()
        context = copy_context()

        def body() -> None:
            result = context.run(work)
            with suppress(RuntimeError):  # the loop has been closed meanwhile
                loop.call_soon_threadsafe(self._ended, done, result)

        self._running += 1
        Thread(target=body, name="bullflow-job", daemon=True).start()
        return done

    def _ended(self, done: "asyncio.Future[Any]", result: Any) -> None:
        self._running -= 1
        if not done.done():
            done.set_result(result)
