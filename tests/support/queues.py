"""BullMQ's queues as tests see them: real ones, under a prefix of the test's own.

What a test waits for is read from the queues' event streams, so nothing is asked twice and nothing
is waited for longer than it takes.
"""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from urllib.parse import unquote
from uuid import uuid4

import bullmq
import orjson

from bullflow import Worker
from bullflow.clock import now_ms
from bullflow.engine.connection import connect
from bullflow.engine.keys import queue_key, worker_name
from bullflow.engine.pipe import Pipe
from bullflow.engine.producer import Producer
from bullflow.engine.queue import Queue
from bullflow.flow.facts import Json
from bullflow.flow.plan import Branch, StoredJob
from bullflow.flow.states import JobStatus
from bullflow.settings import load
from support.eventually import eventually

JOBS = "jobs"
"""The queue of those tests that do not care which."""
PATIENCE = 20.0
Event = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Bull:
    """One prefix of an engine."""

    url: str
    prefix: str
    client: Any
    """A connection; redis-py types its answers too widely to be of use."""

    def producer(self, **more: Any) -> Producer:
        options = {"keep": timedelta(hours=1), "stream_length": 100_000, **more}
        return Producer(self.client, self.prefix, **options)

    async def add(self, *trees: Branch) -> None:
        await self.producer().add(trees)

    def queue(self, name: str = JOBS) -> Any:
        """BullMQ's own view of a queue."""
        return bullmq.Queue(name, {"connection": self.client, "prefix": self.prefix})

    def key(self, part: str, queue: str = JOBS) -> str:
        return queue_key(self.prefix, queue, part)

    async def job(self, job_id: str, queue: str = JOBS) -> dict[str, str]:
        """The fields of a job's hash."""
        return dict(await self.client.hgetall(self.key(job_id, queue)))

    async def state(self, job_id: str, queue: str = JOBS) -> str:
        """BullMQ's word for where a job is."""
        return str(await self.queue(queue).getJobState(job_id))

    async def events(self, queue: str = JOBS) -> list[Event]:
        """All that has happened in a queue, oldest first."""
        return [fields for _, fields in await self.client.xrange(self.key("events", queue))]

    async def history(self, job_id: str, queue: str = JOBS) -> list[str]:
        """The names of a job's events."""
        return [event["event"] for event in await self.events(queue) if event.get("jobId") == job_id]

    async def seen(self, event: str, job_id: str | None = None, queue: str = JOBS, *, times: int = 1) -> Event:
        """Wait until such an event has happened (that often), and return it."""

        def enough(events: Sequence[Event]) -> Event | None:
            found = [one for one in events if one["event"] == event and job_id in (None, one.get("jobId"))]
            return found[times - 1] if len(found) >= times else None

        return await self.until(enough, queue)

    async def ended(self, job_id: str, queue: str = JOBS) -> Event:
        """Wait for a job's end, good or bad."""

        def end(events: Sequence[Event]) -> Event | None:
            found = (one for one in events if one["event"] in ("completed", "failed") and one.get("jobId") == job_id)
            return next(found, None)

        return await self.until(end, queue)

    async def until(self, find: Callable[[Sequence[Event]], Event | None], queue: str = JOBS) -> Event:
        """Wait until `find` finds what it wants among a queue's events."""
        events: list[Event] = []
        at: Any = "0-0"
        try:
            async with asyncio.timeout(PATIENCE):
                while (found := find(events)) is None:
                    answer = await self.client.xread({self.key("events", queue): at}, block=round(PATIENCE * 1000))
                    streams = answer.values() if isinstance(answer, dict) else [raw for _, raw in answer]
                    for raw in streams:
                        entries = raw[0] if isinstance(raw[0], list) else raw
                        events += [fields for _, fields in entries]
                        at = entries[-1][0]
        except TimeoutError:
            raise AssertionError(f"not within {PATIENCE} s; these happened: {events}") from None
        return found

    async def workers(self, queue: str = JOBS) -> list[dict[str, str]]:
        """The connections on which a queue's workers wait."""
        names = worker_name(self.prefix, queue, "")
        return [client for client in await self.client.client_list() if client["name"].startswith(names)]

    async def until_idle(self, queue: str = JOBS, *, workers: int = 1) -> None:
        """Wait until so many workers of a queue block until there is work."""
        async with asyncio.timeout(PATIENCE):
            while sum("b" in client["flags"] for client in await self.workers(queue)) < workers:
                pass

    async def calls(self) -> dict[str, int]:
        """How often the engine has run each command; those inside of scripts count too."""
        stats: dict[str, Any] = await self.client.info("commandstats")
        return {name.removeprefix("cmdstat_"): int(stat["calls"]) for name, stat in stats.items()}


@asynccontextmanager
async def connected(url: str, prefix: str) -> AsyncIterator[Bull]:
    client = connect(url, "test", block=timedelta(seconds=PATIENCE))
    try:
        yield Bull(url, prefix, client)
    finally:
        await client.aclose()


@asynccontextmanager
async def hands_on(bull: Bull, name: str = JOBS, *, lock_ms: int = 30_000) -> AsyncIterator[Queue]:
    """A queue as the consumer sees it."""
    pipe = Pipe(connect(bull.url, "hands"))
    try:
        yield Queue(pipe, bull.prefix, name, worker="hands", lock_ms=lock_ms)
    finally:
        await pipe.close()


@asynccontextmanager
async def working(bull: Bull, *workers: Worker, **settings: Any) -> AsyncIterator[asyncio.Event]:
    """Workers at work until the block ends, or until the event that it yields is set."""
    stop = asyncio.Event()
    loaded = load(redis_url=bull.url, prefix=bull.prefix, **settings)
    tasks = [asyncio.create_task(worker.run(loaded, stop=stop)) for worker in workers]
    try:
        yield stop
    finally:
        stop.set()
        await asyncio.wait_for(asyncio.gather(*tasks), PATIENCE)


@asynccontextmanager
async def bullmqs_own_worker(bull: Bull, process: Callable[[Any, str], Awaitable[Any]]) -> AsyncIterator[None]:
    """BullMQ's worker for Python at work until the block ends."""
    worker = bullmq.Worker(JOBS, process, {"connection": bull.url, "prefix": bull.prefix})
    try:
        yield
    finally:
        # Now and then, not forced, it waits for ever for a read that it has cancelled in vain.
        await worker.close(force=True)


async def kill_engine(bull: Bull) -> None:
    """kill -9 for the engine itself; returns when nobody listens any more."""
    pid = int((await bull.client.info("server"))["process_id"])
    os.kill(pid, signal.SIGKILL)

    async def is_gone() -> bool:
        return not await is_listening(bull.url)

    await eventually(is_gone)


async def is_listening(url: str) -> bool:
    try:
        _, writer = await asyncio.open_unix_connection(unquote(url.removeprefix("unix://")))
    except OSError:
        return False
    writer.close()
    return True


def stored(name: str, *, queue: str = JOBS, data: Any = None, run: int = 1, **fields: Any) -> StoredJob:
    """A job as the store hands it out."""
    own_id = str(uuid4())
    return StoredJob(
        **{
            "id": own_id,
            "job_id": f"{own_id}-{run}",
            "flow_id": str(uuid4()),
            "parent_id": None,
            "name": name,
            "queue_name": queue,
            "data": Json(orjson.dumps({} if data is None else data).decode()),
            "opts": {},
            "status": JobStatus.WAITING,
            "created_at": now_ms(),
            **fields,
        }
    )


def tree(
    name: str, *children: Branch, queue: str = JOBS, data: Any = None, ended: Sequence[StoredJob] = (), **opts: Any
) -> Branch:
    """A job to add, with what goes below it."""
    return Branch(job=stored(name, queue=queue, data=data, opts=opts), children=children, ended=tuple(ended))


def completed(name: str, result: Any, *, queue: str = JOBS) -> StoredJob:
    """A child that has completed in an earlier run."""
    return stored(name, queue=queue, status=JobStatus.COMPLETED, result=Json(orjson.dumps(result).decode()))


def failed(name: str, reason: str, **opts: Any) -> StoredJob:
    """A child that has failed in an earlier run."""
    return stored(name, status=JobStatus.FAILED, error={"message": reason, "stack": None, "attempt": 1}, opts=opts)
