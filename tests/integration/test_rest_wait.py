"""`?wait=` holds the answer until the flow has ended."""

import asyncio
from pathlib import Path

from bullflow import Job, Worker
from support.servers import Valkey
from support.service import running, settings_for


def held(release: asyncio.Event) -> Worker:
    worker = Worker("held")

    @worker.task("hold")
    async def hold(job: Job) -> str:
        await release.wait()
        return "released"

    return worker


HOLD = {"name": "hold", "queueName": "held"}


async def test_the_answer_comes_when_the_flow_has_ended(
    store_url: str, valkey: Valkey, prefix: str, data_dir: Path
) -> None:
    release = asyncio.Event()
    async with running(settings_for(store_url, valkey.url, prefix, data_dir), [held(release)]) as service:
        flow = await service.create(HOLD)
        waiting = asyncio.create_task(service.http.get(f"/flows/{flow.id}", params={"wait": 60}))
        async with asyncio.timeout(20):
            async for event in service.client.watch(flow.id):
                if getattr(event, "event", None) == "job.active":
                    break
        assert not waiting.done()

        release.set()

        assert (await waiting).json()["result"] == "released"


async def test_a_flow_that_has_ended_is_answered_at_once_and_one_that_does_not_end_as_it_is(
    store_url: str, valkey: Valkey, prefix: str, data_dir: Path
) -> None:
    release = asyncio.Event()
    release.set()
    async with running(settings_for(store_url, valkey.url, prefix, data_dir), [held(release)]) as service:
        ended = await service.run(HOLD)
        stuck = await service.create({"name": "hold", "queueName": "nobody"})

        first, second = await asyncio.gather(
            service.http.get(f"/flows/{ended.id}", params={"wait": 60}),
            service.http.get(f"/flows/{stuck.id}", params={"wait": 0.1}),
        )

        assert first.json()["status"] == "completed"
        assert second.json()["status"] == "waiting"


async def test_waiting_longer_than_a_minute_or_for_nothing_is_refused(
    store_url: str, valkey: Valkey, prefix: str, data_dir: Path
) -> None:
    async with running(settings_for(store_url, valkey.url, prefix, data_dir)) as service:
        flow = await service.create(HOLD)

        for wait in ("61", "-1", "x"):
            answer = await service.http.get(f"/flows/{flow.id}", params={"wait": wait})
            assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "?wait")
        unknown = await service.http.get("/flows/019ab3c1-7d7a-7000-8000-000000000000", params={"wait": 60})
        assert unknown.status_code == 404
