"""A worker whose handlers do what the test says: they wait to be released, fail when told to, and are counted."""

import asyncio
from collections import Counter, defaultdict
from datetime import timedelta
from typing import Any

from bullflow import Job, UnrecoverableError, Worker, wire
from support.eventually import eventually
from support.service import Service

QUEUE = "stage"


class Stage:
    """What its worker's handlers see and do."""

    def __init__(self) -> None:
        self.starts: Counter[str] = Counter()
        self.aborted: dict[str, str | None] = {}
        self.broken: set[str] = set()
        self._released: defaultdict[str, asyncio.Event] = defaultdict(asyncio.Event)

    def release(self, name: str) -> None:
        """Let the jobs end whose data has this `key`, and whatever else waits for it."""
        self._released[name].set()

    async def released(self, name: str) -> None:
        """Return when that was released."""
        await self._released[name].wait()

    async def started(self, key: str, times: int = 1) -> None:
        async def enough() -> bool:
            return self.starts[key] >= times

        await eventually(enough)

    def worker(self, queue: str = QUEUE, **options: Any) -> Worker:
        options = {"lock": timedelta(seconds=5), "stalled_check": timedelta(seconds=1), **options}
        worker = Worker(queue, **{"concurrency": 20, **options})

        @worker.task("value")
        async def value(job: Job) -> Any:
            return self._begin(job)

        @worker.task("sum")
        async def add(job: Job) -> Any:
            self._begin(job)
            return sum(job.children.all("value")) + sum(job.children.all("sum"))

        @worker.task("told")
        async def told(job: Job) -> Any:
            self._begin(job)
            return {"values": list(job.children.all("value")), "failures": job.children.failures.get("value", [])}

        @worker.task("tidy")
        async def tidy(job: Job) -> Any:
            self._begin(job)
            await job.remove_unprocessed_children()
            return job.children.failures["value"]

        @worker.task("hold")
        async def hold(job: Job) -> Any:
            """Runs until it is released or aborted."""
            result = self._begin(job)
            released = asyncio.create_task(self.released(job.data["key"]))
            aborted = asyncio.create_task(job.signal.wait())
            try:
                await asyncio.wait({released, aborted}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                self.aborted[job.data["key"]] = job.signal.reason
                released.cancel()
                aborted.cancel()
            return result

        return worker

    def _begin(self, job: Job) -> Any:
        key = job.data.get("key", job.name)
        self.starts[key] += 1
        if key in self.broken:
            raise ValueError(f"{key} is broken")
        if f"{key}!" in self.broken:
            raise UnrecoverableError(f"{key} is beyond repair")
        return job.data.get("value", 1)


def job(
    name: str, key: str, *children: dict[str, Any], queue: str = QUEUE, value: Any = 1, **opts: Any
) -> dict[str, Any]:
    """One job of a request; `key` names it in the stage."""
    return {
        "name": name,
        "queueName": queue,
        "data": {"key": key, "value": value},
        "opts": opts,
        "children": list(children),
    }


async def jobs_by_key(service: Service, flow_id: str) -> dict[str, wire.Job]:
    """A flow's jobs as the API shows them, by the `key` of their data."""
    page = await service.client.jobs(flow_id, limit=500)
    return {found.data["key"]: found for found in page.items}


async def statuses(service: Service, flow_id: str) -> dict[str, str]:
    """The states of a flow's jobs by their keys."""
    return {key: found.status.value for key, found in (await jobs_by_key(service, flow_id)).items()}
