"""Runs one job with its handler and says how it went. Whatever a handler does, `run` does not raise."""

import asyncio
import traceback
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any

import orjson
import structlog
from structlog.typing import FilteringBoundLogger

from bullflow.engine.attempt import Completed, Failed, Grown, Outcome, Reach
from bullflow.engine.delivery import Delivery
from bullflow.engine.insist import insist
from bullflow.errors import JobCancelled, JobFailure, JobTimedOut, ResultNotJson, ResultTooLarge, UnrecoverableError
from bullflow.loop import Complaints
from bullflow.worker.growing import Room
from bullflow.worker.job import Job
from bullflow.worker.registry import Handler, Registry, Task
from bullflow.worker.signal import AbortSignal, Reason
from bullflow.worker.threads import Threads

GRACE = timedelta(seconds=5)
"""How long a handler may take to end after it was told to."""
MOST_ABANDONED = 1_000
"""How many threads may be left behind in handlers that did not heed their time limit."""
LONGEST_REASON = 10_000
LONGEST_STACK = 50_000


@dataclass(frozen=True, slots=True)
class _Raised:
    """What a handler has raised. As a value, because some exceptions do more than fail when they are raised
    in a task or set on a future: SystemExit ends the event loop, StopIteration never arrives."""

    error: BaseException


class _Run:
    """A job that runs here. One future stands for all that may end it, which is cheaper than to wait for each."""

    __slots__ = ("_over", "_running", "cancelled", "signal")

    def __init__(self) -> None:
        self.signal = AbortSignal()
        self.cancelled: str | None = None
        """The reason for which it was withdrawn, once it is."""
        self._over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._running: asyncio.Future[Any] | None = None

    def withdraw(self, reason: str) -> None:
        """Its handler is to stop, and it has failed for this reason."""
        if self.cancelled is None and self.signal.reason != "timed out":
            self.cancelled = reason
            self.stop("cancelled")
            self.over()

    def stop(self, reason: Reason) -> None:
        """Tell its handler to stop. A coroutine is cancelled once, where it is just then: what it does after that
        is left to it. A thread can only look at its signal."""
        self.signal.abort(reason)
        if isinstance(self._running, asyncio.Task):
            self._running.cancel()

    def over(self, _: object = None) -> None:
        """Its handler has ended, its time is up, or it is withdrawn."""
        if not self._over.done():
            self._over.set_result(None)

    async def until_over(self, running: "asyncio.Future[Any]", limit: timedelta | None) -> None:
        """Return when its handler has ended, or need not be waited for any longer."""
        self._running = running
        running.add_done_callback(self.over)
        timer = None
        if limit is not None:
            timer = asyncio.get_running_loop().call_later(limit.total_seconds(), self.over)
        try:
            await self._over
        finally:
            if timer is not None:
                timer.cancel()


class Runner:
    """The jobs that run in this process for one worker."""

    def __init__(
        self, registry: Registry, *, threads: int, largest_result: int, room: Room, log: FilteringBoundLogger
    ) -> None:
        self._registry = registry
        # No thread can be stopped from outside: one that is left behind must not take the next job's place.
        self._threads = Threads(threads + MOST_ABANDONED)
        self._largest_result = largest_result
        self._room = room
        self._log = log
        self._complaints = Complaints("worker.children", log)
        # By id and token: after a lost lock the same job may run here twice.
        self._runs: dict[tuple[str, str], _Run] = {}

    async def run(self, delivery: Delivery, reach: Reach) -> Outcome:
        """Run the handler of this job's name."""
        key = (delivery.job_id, delivery.token)
        run = self._runs[key] = _Run()
        structlog.contextvars.bind_contextvars(job_id=delivery.job_id, job=delivery.name)
        try:
            return await self._run(delivery, reach, run)
        except asyncio.CancelledError:
            raise
        except BaseException as error:
            return self._failed(error)
        finally:
            del self._runs[key]

    async def _run(self, delivery: Delivery, reach: Reach, run: _Run) -> Outcome:
        task = self._registry.find(delivery.name)
        if delivery.may_have_children:
            delivery = await insist(partial(reach.queue.with_children, delivery), self._complaints)
        below = None
        if task.descendants:
            below = await insist(partial(reach.below.everything, delivery), self._complaints)
        if run.cancelled is not None:
            raise JobCancelled(run.cancelled)
        job = Job(delivery, reach, run.signal, self._room, below)
        result = await self._within(_time_limit(delivery, task), self._start(task, job), run)
        if isinstance(result, _Raised):
            return self._failed(result.error)
        if job.has_grown:
            return Grown()
        return Completed(result=_as_json(delivery.name, result, self._largest_result))

    def _start(self, task: Task, job: Job) -> "asyncio.Future[Any]":
        if task.is_async:
            return asyncio.create_task(_in_loop(task.handler, job))
        return self._threads.start(partial(_in_thread, task.handler, job))

    async def _within(self, limit: timedelta | None, running: "asyncio.Future[Any]", run: _Run) -> Any:
        """The handler's return value; raises JobTimedOut or JobCancelled, whatever the handler makes of it."""
        try:
            await run.until_over(running, limit)
            if run.cancelled is not None:
                await self._end(running)
                raise JobCancelled(run.cancelled)
            if limit is not None and not running.done():
                run.stop("timed out")
                await self._end(running)
                raise JobTimedOut(limit.total_seconds())
            return running.result()
        except asyncio.CancelledError:
            if not running.done():
                running.cancel()  # the worker is on its way out, and threads have been told before
                await self._end(running)
            elif running.cancelled():
                raise _cancelled() from None
            raise

    async def _end(self, running: "asyncio.Future[Any]") -> None:
        """Let a handler end that was told to, within the time that it has for it."""
        await asyncio.wait({running}, timeout=GRACE.total_seconds())
        if not running.done():
            self._log.warning("worker.handler_ignores_cancellation")

    def _failed(self, error: BaseException) -> Failed:
        known = isinstance(error, JobFailure)
        self._log.info("worker.attempt_failed", error=_reason(error))
        if not known:
            # As text of bounded length: what formats a trace for the log may choke on what a handler raises.
            self._log.debug("worker.attempt_failed_at", stack=_stack(error))
        return Failed(
            reason=_reason(error),
            stack=None if known else _stack(error),
            final=isinstance(error, UnrecoverableError),
        )

    def lost(self, delivery: Delivery) -> None:
        """The job's lock is gone: another worker may have it, and what this one returns will be ignored."""
        self._log.warning("worker.lock_lost", job_id=delivery.job_id)
        run = self._runs.get((delivery.job_id, delivery.token))
        if run is not None:
            run.signal.abort("lock lost")

    def abort(self, delivery: Delivery, reason: str) -> None:
        """The job is withdrawn: stop its handler, and let it fail with this reason."""
        run = self._runs.get((delivery.job_id, delivery.token))
        if run is not None:
            run.withdraw(reason)

    def shut_down(self) -> None:
        """Tell all running handlers to stop."""
        for run in self._runs.values():
            run.signal.abort("shutting down")


async def _in_loop(handler: Handler, job: Job) -> Any:
    try:
        return await handler(job)
    except (asyncio.CancelledError, KeyboardInterrupt):
        raise
    except BaseException as error:
        return _Raised(error)


def _in_thread(handler: Handler, job: Job) -> Any:
    try:
        return handler(job)
    except asyncio.CancelledError:
        return _Raised(_cancelled())
    except BaseException as error:
        return _Raised(error)


def _cancelled() -> JobFailure:
    return JobFailure("the handler was cancelled")


def _time_limit(delivery: Delivery, task: Task) -> timedelta | None:
    """The job's own limit, or else its handler's."""
    if delivery.envelope.timeout_ms is not None:
        return timedelta(milliseconds=delivery.envelope.timeout_ms)
    return task.timeout


def _as_json(name: str, result: Any, largest: int) -> str:
    try:
        text = orjson.dumps(result)
    except (TypeError, orjson.JSONEncodeError) as error:
        raise ResultNotJson(name, str(error)) from None
    if len(text) > largest:
        raise ResultTooLarge(name, len(text), largest)
    return text.decode()


def _reason(error: BaseException) -> str:
    """The error's message; with its type where the message alone tells nothing (`KeyError: 'x'`, `SystemExit: 3`)."""
    name = type(error).__name__
    try:
        reason = str(error) or name
    except Exception:
        reason = name
    if isinstance(error, LookupError | SystemExit | AssertionError) and reason != name:
        reason = f"{name}: {reason}"
    return _unicode(reason)[:LONGEST_REASON]


def _stack(error: BaseException) -> str:
    return _unicode("".join(traceback.format_exception(error)))[-LONGEST_STACK:]


def _unicode(text: str) -> str:
    """The text without what has no UTF-8, as the names of some files have not."""
    return text.encode(errors="replace").decode()
