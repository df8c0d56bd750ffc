"""The shape that every background loop has.

A loop is a `run_once` that does one bounded batch of work and returns how much it did. `run`
repeats it: at once while there is work, otherwise when somebody wakes it or its net (`interval`)
is due. A round that fails is logged once per kind of failure and tried again with growing pauses;
nothing is lost by that, because the work itself waits in the store.
"""

import asyncio
import signal
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from datetime import timedelta
from typing import Any

from structlog.typing import FilteringBoundLogger

from bullflow.errors import Away, BullflowError

FIRST_PAUSE = timedelta(milliseconds=100)
LONGEST_PAUSE = timedelta(seconds=2)


class Wake:
    """A bell that a sleeping loop waits for. Ringing it twice before it is heard counts once."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    def ring(self) -> None:
        self._event.set()

    async def heard(self, at_most: timedelta | None) -> None:
        """Return when the bell has rung since the last call, or when the time is over."""
        with suppress(TimeoutError):
            async with asyncio.timeout(None if at_most is None else at_most.total_seconds()):
                await self._event.wait()
        self._event.clear()


class Pauses:
    """Pauses that grow while a thing keeps failing: 0.1 s, 0.2 s, … 2 s."""

    def __init__(self, longest: timedelta = LONGEST_PAUSE) -> None:
        self._longest = longest
        self._next = min(FIRST_PAUSE, longest)

    def reset(self) -> None:
        self._next = min(FIRST_PAUSE, self._longest)

    async def rest(self) -> None:
        pause, self._next = self._next, min(self._next * 2, self._longest)
        await asyncio.sleep(pause.total_seconds())


class Complaints:
    """Says once that a thing fails, and once that it works again, however often it is tried between."""

    def __init__(self, name: str, log: FilteringBoundLogger) -> None:
        self._name = name
        self._log = log
        self._failing = ""

    def about(self, error: Exception) -> None:
        if self._failing != repr(error):
            self._failing = repr(error)
            trace = None if isinstance(error, OSError | Away) else error  # a system that is away needs no trace
            self._log.warning(f"{self._name}.failing", error=str(error), kind=type(error).__name__, exc_info=trace)

    def over(self) -> None:
        if self._failing:
            self._failing = ""
            self._log.info(f"{self._name}.recovered")


async def run(
    name: str,
    run_once: Callable[[], Awaitable[int]],
    *,
    wake: Wake,
    interval: timedelta | None,
    log: FilteringBoundLogger,
    give_up_on: tuple[type[Exception], ...] = (),
) -> None:
    """Repeat `run_once` until cancelled. Errors in `give_up_on` end the loop; all others are outlived."""
    pauses, complaints = Pauses(), Complaints(name, log)
    while True:
        try:
            done = await run_once()
        except give_up_on:
            raise
        except Exception as error:
            outlive(error)
            complaints.about(error)
            await pauses.rest()
            continue
        complaints.over()
        pauses.reset()
        if not done:
            await wake.heard(interval and until_due(interval, asyncio.get_running_loop().time()))


async def sleep_until_due(interval: timedelta) -> None:
    """For loops of another shape than `run`: as long as `until_due` says."""
    await asyncio.sleep(until_due(interval, asyncio.get_running_loop().time()).total_seconds())


def until_due(interval: timedelta, now: float) -> timedelta:
    """How long to sleep at `now`, in seconds by any clock, for what is done every `interval`.

    The intervals of all loops begin together, so that a process does what it wakes for at once and wakes less often.
    """
    left = interval - timedelta(seconds=now % interval.total_seconds())
    # A timer may go off a moment early.
    return left if left > interval / 10 else left + interval


def outlive(error: Exception) -> None:
    """Go on after an error, unless this task was told to end: what fails on its way out must not make it stay."""
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError from error


def told_to_stop() -> asyncio.Event:
    """Set when the process gets SIGTERM or SIGINT."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    return stop


async def side_by_side(*parts: Coroutine[Any, Any, None]) -> None:
    """Run these until all have ended; when one fails the others are cancelled, and its error is raised."""
    try:
        async with asyncio.TaskGroup() as tasks:
            for part in parts:
                tasks.create_task(part)
    except BaseExceptionGroup as group:
        raise first_error(group) from group


def first_error(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """What a user should read of several errors: one of ours if there is one."""
    errors = _leaves(group)
    return next((error for error in errors if isinstance(error, BullflowError)), errors[0])


def _leaves(error: BaseException) -> list[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        return [leaf for part in error.exceptions for leaf in _leaves(part)]
    return [error]
