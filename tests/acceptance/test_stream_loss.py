"""The recorder was away while more happened than the engine's event stream keeps: it is settled, nothing hangs."""

from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis

from bullflow import AsyncClient
from bullflow.flow.facts import FactId
from bullflow.wire import Event, Flow
from support.eventually import eventually
from support.handlers import a_sum_of
from support.processes import processes
from support.servers import Valkey

FLOWS = 100
VALUES = range(10)
STREAM_LENGTH = 1_000


@pytest.mark.parametrize("databases", ["sqlite"], indirect=True)
async def test_what_was_trimmed_before_it_was_recorded_is_settled_from_the_engine(
    store_url: str, data_dir: Path, tmp_path: Path
) -> None:
    notes = tmp_path / "notes"
    async with Valkey(data_dir) as valkey, Redis.from_url(valkey.url, decode_responses=True) as engine:
        with processes(
            tmp_path / "logs",
            database_url=store_url,
            redis_url=valkey.url,
            lease="1",
            stream_length=str(STREAM_LENGTH),
            test_notes=str(notes),
        ) as run:
            _, url = run.start_ready("api", "--port", "0")
            recorder, _ = run.start_ready("recorder")
            async with AsyncClient(url) as client:
                flows = [await client.create(a_sum_of(index, *VALUES)) for index in range(FLOWS)]
                await _dispatched(client, flows)
                recorder.kill()
                stream: dict[str, Any] = await engine.xinfo_stream("bull:sums:events")
                last_read = stream["last-generated-id"]

                worker = run.start("worker", "tests.support.handlers:worker")

                async def all_have_run() -> bool:
                    return await engine.zcard("bull:sums:completed") == FLOWS * (len(VALUES) + 2)

                await eventually(all_have_run, within=60)
                stream = await engine.xinfo_stream("bull:sums:events")
                assert FactId.parse(stream["first-entry"][0]) > FactId.parse(last_read), "the stream has lost nothing"
                worker.stop()
                recorder, _ = run.start_ready("recorder")

                ended = [await client.wait(flow.id, timeout=60) for flow in flows]
                logs = [[entry async for entry in _log(client, flow)] for flow in ended]

                told = recorder.log()

    assert "events were trimmed from the engine before they were recorded" in told
    assert [flow.result for flow in ended] == [index + sum(VALUES) for index in range(FLOWS)]
    assert all([entry.seq for entry in log] == list(range(1, len(log) + 1)) for log in logs)
    assert len(notes.read_text().splitlines()) == FLOWS * (len(VALUES) + 2), "a job was run again"


async def _dispatched(client: AsyncClient, flows: Sequence[Flow]) -> None:
    for flow in flows:
        async for entry in client.watch(flow.id, after=0):
            if isinstance(entry, Event) and entry.event == "flow.dispatched":
                break


async def _log(client: AsyncClient, flow: Flow) -> AsyncIterator[Event]:
    async for entry in client.watch(flow.id, after=0):
        if isinstance(entry, Event):
            yield entry
            if entry.event == "flow.completed":
                return
