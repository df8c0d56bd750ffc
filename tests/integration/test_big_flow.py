"""A flow of 10,000 jobs is accepted, runs, and is listed page by page."""

from pathlib import Path

from bullflow import Job, Worker
from bullflow.flow.states import JobStatus
from support.servers import Valkey
from support.service import running, settings_for

JOBS = 10_000


def counting() -> Worker:
    worker = Worker("many", concurrency=200)

    @worker.task("one")
    async def one(job: Job) -> int:
        return int(job.data)

    @worker.task("count")
    async def count(job: Job) -> int:
        values = job.children.all("one")
        assert values == tuple(range(JOBS - 1))
        return len(values)

    return worker


async def test_a_flow_of_10000_jobs_runs_and_is_listed_page_by_page(
    store_url: str, valkey: Valkey, prefix: str, data_dir: Path
) -> None:
    async with running(settings_for(store_url, valkey.url, prefix, data_dir), [counting()]) as service:
        children = [{"name": "one", "queueName": "many", "data": number} for number in range(JOBS - 1)]

        flow = await service.run({"name": "count", "queueName": "many", "children": children}, within=100)

        assert (flow.status, flow.result) == ("completed", JOBS - 1)
        assert flow.counts[JobStatus.COMPLETED] == JOBS
        listed: list[int] = []
        page = await service.client.jobs(flow.id, limit=500)
        while page.next is not None:
            listed += [job.data for job in page.items if job.name == "one"]
            page = await service.client.jobs(flow.id, limit=500, cursor=page.next)
        listed += [job.data for job in page.items]
        assert listed == list(range(JOBS - 1))
        log = await service.log_of(flow.id)
        assert [entry.seq for entry in log] == list(range(1, flow.last_seq + 1))
