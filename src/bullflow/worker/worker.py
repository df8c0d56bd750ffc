"""A worker: handlers for one queue, run in any process that can reach the engine."""

import asyncio
import os
import socket
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import TypeVar
from uuid import uuid4

from structlog.typing import FilteringBoundLogger

from bullflow import telemetry
from bullflow.engine.address import engine_url
from bullflow.engine.consumer import Consumer
from bullflow.engine.growth import GrowthOptions
from bullflow.engine.keeper import KeeperOptions
from bullflow.loop import side_by_side, told_to_stop
from bullflow.settings import Settings, load
from bullflow.wire import Limits
from bullflow.worker.growing import Room
from bullflow.worker.registry import Handler, Registry, Task
from bullflow.worker.runner import GRACE, Runner

_PARENT_EVERY = timedelta(seconds=1)

H = TypeVar("H", bound=Handler)


class Worker:
    """Takes jobs of one queue and runs the handler of each job's name.

    `concurrency` is how many jobs run at once in this process. `lock` is how long a job may stay
    without a sign of life from its worker, and `stalled_check` how often the workers look for such
    jobs; one that has been found `max_stalled` times and is found again fails.
    """

    def __init__(
        self,
        queue_name: str,
        *,
        concurrency: int = 1,
        lock: timedelta = timedelta(seconds=30),
        stalled_check: timedelta = timedelta(seconds=30),
        max_stalled: int = 3,
    ) -> None:
        self.queue_name = queue_name
        self.concurrency = concurrency
        self._keeping = KeeperOptions(lock=lock, stalled_check=stalled_check, max_stalled=max_stalled)
        self._registry = Registry()

    def task(self, name: str, *, timeout: float | None = None, descendants: bool = False) -> Callable[[H], H]:
        """Make a function the handler of a job name.

        `timeout` is seconds for one attempt; with `descendants` it gets the values of all jobs below its own.
        """

        def register(handler: H) -> H:
            limit = None if timeout is None else timedelta(seconds=timeout)
            self._registry.add(Task(name=name, handler=handler, timeout=limit, descendants=descendants))
            return handler

        return register

    @property
    def names(self) -> list[str]:
        """The job names that have handlers."""
        return self._registry.names

    async def run(self, settings: Settings | None = None, *, stop: asyncio.Event | None = None) -> None:
        """Work until `stop` is set, then let running jobs finish within the settings' `stop_timeout`."""
        settings = settings or load()
        stop = stop or asyncio.Event()
        log = telemetry.logger("worker").bind(queue=self.queue_name)
        concurrency = settings.concurrency or self.concurrency
        runner = Runner(
            self._registry,
            threads=concurrency,
            largest_result=settings.max_result_bytes,
            room=_room(settings),
            log=log,
        )
        consumer = self._consumer(settings, runner, concurrency, log)
        working = asyncio.create_task(consumer.run())
        log.info("worker.started", names=self.names, concurrency=concurrency)
        if not self.names:
            log.warning("worker.has_no_handlers", hint="every job of this queue will fail; add some with @worker.task")
        try:
            await _until_set_or_done(stop, working)
            consumer.stop()
            log.info("worker.stopping", running=consumer.busy, at_most_seconds=settings.stop_timeout.total_seconds())
            await _finish(working, consumer, runner, settings.stop_timeout)
        finally:
            working.cancel()
            await asyncio.gather(working, return_exceptions=True)
            log.info("worker.stopped")

    def _consumer(self, settings: Settings, runner: Runner, concurrency: int, log: FilteringBoundLogger) -> Consumer:
        return Consumer(
            engine_url(settings),
            settings.prefix,
            self.queue_name,
            worker_id=f"{socket.gethostname()}:{os.getpid()}:{uuid4().hex[:8]}",
            running=runner,
            concurrency=concurrency,
            keeping=self._keeping,
            growing=GrowthOptions(keep=settings.engine_keep, stream_length=settings.stream_length),
            log=log,
        )

    def __repr__(self) -> str:
        return f"<Worker {self.queue_name} {self.names}>"


def _room(settings: Settings) -> Room:
    limits = Limits(jobs=settings.max_jobs, depth=settings.max_depth, data_bytes=settings.max_data_bytes)
    return Room(limits=limits, total_bytes=settings.max_body_bytes)


async def run_workers(workers: Sequence[Worker], settings: Settings, *, under: int | None = None) -> None:
    """Run workers in this process until SIGTERM or SIGINT, or until the process is gone that this one is `under`."""
    stop = told_to_stop()
    watching = None if under is None else asyncio.create_task(_until_orphaned(under, stop))
    try:
        await side_by_side(*(worker.run(settings, stop=stop) for worker in workers))
    finally:
        if watching is not None:
            watching.cancel()


async def _until_orphaned(parent: int, stop: asyncio.Event) -> None:
    """Set `stop` when the process is gone that should have told this one to: whoever starts it anew wants no more."""
    while os.getppid() == parent:  # noqa: ASYNC110 - a parent's end has no event
        await asyncio.sleep(_PARENT_EVERY.total_seconds())
    stop.set()


async def _until_set_or_done(stop: asyncio.Event, working: "asyncio.Task[None]") -> None:
    stopping = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({stopping, working}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        stopping.cancel()


async def _finish(working: "asyncio.Task[None]", consumer: Consumer, runner: Runner, limit: timedelta) -> None:
    """Wait for running jobs; those that take too long are told to stop, and then left to others."""
    if not consumer.busy:
        # There is only an answer of the engine to wait for, which may bring one more job, or never come.
        await asyncio.wait({working}, timeout=GRACE.total_seconds())
    if consumer.busy:
        await asyncio.wait({working}, timeout=limit.total_seconds())
        runner.shut_down()
        await asyncio.wait({working}, timeout=GRACE.total_seconds())
    if working.done():
        await working
