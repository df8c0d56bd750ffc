"""Ends work when its job is to end: cancelled, timed out, or the worker is shutting down."""

import asyncio
from collections.abc import Coroutine
from typing import Any, Protocol, TypeVar

from bullflow import JobFailure

T = TypeVar("T")


class Signal(Protocol):
    """What is needed of `job.signal`."""

    @property
    def reason(self) -> str | None: ...

    async def wait(self) -> Any: ...


class Aborted(JobFailure):
    """The job's signal was given before the work was done."""

    def __init__(self, reason: str | None) -> None:
        super().__init__(f"aborted: {reason or 'no reason given'}")


async def unless_aborted(work: Coroutine[Any, Any, T], signal: Signal) -> T:
    """The result of `work`; raises Aborted after `work` has been cancelled and has cleaned up after itself."""
    task, bell = asyncio.create_task(work), asyncio.create_task(_ring(signal))
    try:
        await asyncio.wait({task, bell}, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise Aborted(signal.reason)
        return task.result()
    finally:
        for each in (task, bell):
            each.cancel()
        await asyncio.gather(task, bell, return_exceptions=True)


async def _ring(signal: Signal) -> None:
    await signal.wait()
