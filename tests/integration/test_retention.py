"""A service that keeps flows for a moment only: in the end neither the store nor the engine has anything of them."""

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from bullflow import Job, Worker
from bullflow.engine.keys import OURS
from bullflow.errors import NotFound
from bullflow.serve import forgetting
from bullflow.store.database import Database
from bullflow.store.tables import Base, Flow, FlowJob, FlowTag, IdempotencyKey, JobLogLine, LogEntry
from support.eventually import eventually
from support.flows import how_many
from support.queues import Bull, connected
from support.servers import Valkey
from support.service import Service, running, settings_for
from support.sockets import connected as watching
from support.stage import QUEUE, Stage, job

OWNED: tuple[type[Base], ...] = (Flow, FlowJob, FlowTag, IdempotencyKey, LogEntry, JobLogLine)
MOMENT = timedelta(seconds=0.2)
FARM = "farm"


def farmer() -> Worker:
    worker = Worker(FARM)

    @worker.task("grow")
    async def grow(job: Job) -> Any:
        await job.log("I grow")
        if "value" not in job.children:
            await job.add_children([{"name": "value", "queueName": QUEUE, "data": {"key": "grown"}}])
        return job.children.all("value")

    return worker


@pytest_asyncio.fixture
async def forgetful(
    store_url: str, valkey: Valkey, prefix: str, data_dir: Path, stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Service]:
    """Keeps ended flows and ended jobs for a moment. No operator can ask for so little."""
    for net in ("FORGETTER_LOOKS", "SWEEPER_LOOKS"):
        monkeypatch.setattr(forgetting, net, timedelta(seconds=0.05))
    settings = settings_for(store_url, valkey.url, prefix, data_dir)
    settings = settings.model_copy(update={"keep_flows": MOMENT, "engine_keep": MOMENT})
    async with running(settings, [stage.worker(), farmer()]) as service:
        yield service


async def jobs_in_engine(bull: Bull) -> set[str]:
    """Keys that bear the id of a job."""
    keys = [key async for key in bull.client.scan_iter(f"{bull.prefix}:*", count=1_000)]
    of_jobs = {key for key in keys if OURS.fullmatch(key.split(":")[2])}
    shelves = [key for key in keys if key.endswith((":completed", ":failed"))]
    return of_jobs | {job_id for shelf in shelves for job_id in await bull.client.zrange(shelf, 0, -1)}


async def test_however_flows_end_nothing_of_them_is_left(
    forgetful: Service, stage: Stage, database: Database, valkey: Valkey, prefix: str
) -> None:
    stage.broken |= {"bad", "bad-too"}
    create = forgetful.client.create
    flows = [
        await create({**job("sum", "root", job("value", "leaf")), "tags": ["mine"]}, idempotency_key="once"),
        await create(job("sum", "fails", job("value", "bad"), job("value", "sibling"))),
        await create(job("sum", "ignores", job("value", "bad-too", ignoreDependencyOnFailure=True, removeOnFail=True))),
        await create(job("value", "no-end", removeOnComplete=False)),
        await create({"name": "grow", "queueName": FARM}),
        await create(job("sum", "withdrawn", job("hold", "held"), job("value", "late", delay=60_000))),
    ]
    await stage.started("held")
    await forgetful.client.cancel(flows[-1].id)

    async def nothing_is_left() -> bool:
        return sum([await how_many(database, table) for table in OWNED]) == 0

    await eventually(nothing_is_left)

    async with connected(valkey.url, prefix) as bull:

        async def nothing_is_in_the_engine() -> bool:
            return not await jobs_in_engine(bull)

        await eventually(nothing_is_in_the_engine)
    again = await create(job("value", "again"), idempotency_key="once")
    assert again.id != flows[0].id


async def test_what_is_asked_about_a_flow_whose_time_is_over_is_answered_as_for_one_that_never_was(
    forgetful: Service, stage: Stage
) -> None:
    held = await forgetful.create(job("sum", "held-root", job("hold", "held"), job("value", "leaf")))
    flow = await forgetful.create(job("hold", "gone"))
    async with watching(forgetful.url) as early:
        await early.reply("subscribe", flowId=flow.id, after=0)
        stage.release("gone")
        heard = await early.until(lambda message: message.get("event") == "flow.completed")

        async def is_gone() -> bool:
            return bool((await forgetful.http.get(f"/flows/{flow.id}")).status_code == 404)

        await eventually(is_gone)
        assert await early.pending() == [], "whoever has seen the end is told nothing more"
        assert (await early.reply("subscribe", flowId=flow.id, after=0))["code"] == "not-found"
    seqs = [message["seq"] for message in heard if message["type"] == "event"]
    assert seqs == list(range(1, len(seqs) + 1))
    for path in ("", "/jobs", "/events", "/tree", "/explain"):
        assert (await forgetful.http.get(f"/flows/{flow.id}{path}")).status_code == 404
    for act in (forgetful.client.cancel, forgetful.client.retry, forgetful.client.delete):
        with pytest.raises(NotFound):
            await act(flow.id)
    with pytest.raises(NotFound):
        await forgetful.client.wait(flow.id, timeout=1)
    assert [one.id for one in (await forgetful.client.flows()).items] == [held.id]

    stage.release("held")
    await eventually_gone(forgetful, held.id)


async def eventually_gone(service: Service, flow_id: str) -> None:
    async def is_gone() -> bool:
        return bool((await service.http.get(f"/flows/{flow_id}")).status_code == 404)

    await eventually(is_gone)
