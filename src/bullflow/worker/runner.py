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

from bullflow.engine.consumer import Completed, Failed, Outcome
from bullflow.engine.delivery import Delivery
from bullflow.engine.queue import Queue
from bullflow.errors import JobFailure, JobTimedOut, ResultNotJson, ResultTooLarge, UnrecoverableError
from bullflow.worker.job import Job
from bullflow.worker.registry import Handler, Registry, Task
from bullflow.worker.signal import AbortSignal, Reason
from bullflow.worker.threads import Threads

GRACE = timedelta(seconds=5)
"""How long a handler may take to end after it was cancelled."""
MOST_ABANDONED = 1_000
"""How many threads may be left behind in handlers that did not heed their time limit."""
LONGEST_REASON = 10_000
LONGEST_STACK = 50_000


@dataclass(frozen=True, slots=True)
class _Raised:
    """What a handler has raised. As a value, because some exceptions do more than fail when they are raised
    in a task or set on a future: SystemExit ends the event loop, StopIteration never arrives."""

    error: BaseException


class Runner:
    """The jobs that run in this process for one worker."""

    def __init__(self, registry: Registry, threads: int, largest_result: int, log: FilteringBoundLogger) -> None:
        self._registry = registry
        # No thread can be stopped from outside: one that is left behind must not take the next job's place.
        self._threads = Threads(threads + MOST_ABANDONED)
        self._largest_result = largest_result
        self._log = log
        # By id and token: after a lost lock the same job may run here twice.
        self._signals: dict[tuple[str, str], AbortSignal] = {}

    async def run(self, delivery: Delivery, queue: Queue) -> Outcome:
        """Run the handler of this job's name."""
        key = (delivery.job_id, delivery.token)
        signal = self._signals[key] = AbortSignal()
        structlog.contextvars.bind_contextvars(job_id=delivery.job_id, job=delivery.name)
        try:
            return await self._run(delivery, queue, signal)
        except asyncio.CancelledError:
            raise
        except BaseException as error:
            return self._failed(error)
        finally:
            del self._signals[key]

    async def _run(self, delivery: Delivery, queue: Queue, signal: AbortSignal) -> Outcome:
        task = self._registry.find(delivery.name)
        job = Job(delivery, queue, signal)
        result = await self._within(_time_limit(delivery, task), self._start(task, job), signal)
        if isinstance(result, _Raised):
            return self._failed(result.error)
        return Completed(result=_as_json(delivery.name, result, self._largest_result))

    def _start(self, task: Task, job: Job) -> "asyncio.Future[Any]":
        if task.is_async:
            return asyncio.create_task(_in_loop(task.handler, job))
        return self._threads.start(partial(_in_thread, task.handler, job))

    async def _within(self, limit: timedelta | None, running: "asyncio.Future[Any]", signal: AbortSignal) -> Any:
        """The handler's return value; raises JobTimedOut after `limit`, whatever the handler makes of it."""
        try:
            done, _ = await asyncio.wait({running}, timeout=None if limit is None else limit.total_seconds())
            if not done and limit is not None:
                signal.abort("timed out")
                await self._cancel(running)
                raise JobTimedOut(limit.total_seconds())
            return running.result()
        except asyncio.CancelledError:
            if not running.done():
                await self._cancel(running)
            elif running.cancelled():
                raise _cancelled() from None
            raise

    async def _cancel(self, running: "asyncio.Future[Any]") -> None:
        running.cancel()
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
        signal = self._signals.get((delivery.job_id, delivery.token))
        if signal is not None:
            signal.abort("lock lost")

    def abort(self, reason: Reason, job_id: str | None = None) -> None:
        """Tell one running job, or all, to stop."""
        for (running, _), signal in self._signals.items():
            if job_id in (None, running):
                signal.abort(reason)


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
