"""Several processes of each part on one store and one engine: sockets on either api see all, one recorder leads."""

import asyncio
import os
import signal
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Any

import httpx
import pytest

from bullflow import AsyncClient
from bullflow.wire import Event
from support.eventually import eventually
from support.handlers import a_sum_of
from support.processes import Process, processes
from support.servers import Valkey
from support.sockets import Message, Socket, connected

WORKER = "tests.support.handlers:worker"
TAKEOVER_WITHIN = 10


@dataclass(frozen=True)
class Pair:
    """Two api processes, two recorders of which the first leads, and a worker."""

    urls: tuple[str, str]
    leader: Process
    standby: Process


@contextmanager
def pair(folder: Path, **settings: str) -> Iterator[Pair]:
    with processes(folder, **settings) as run:
        apis = [run.start("api", "--port", "0") for _ in range(2)]
        leader, standby = run.start("recorder"), None
        run.start("worker", WORKER)
        urls = [api.first_line().rpartition(" ")[2] for api in apis]
        leader.first_line()
        while "leader.elected" not in leader.log():
            assert leader.is_running()
        standby, _ = run.start_ready("recorder")
        yield Pair((urls[0], urls[1]), leader, standby)


def is_end(message: Message) -> bool:
    return message.get("event") == "flow.completed"


async def hears_of_the_ends(socket: Socket, flow_ids: set[str]) -> None:
    """Wait until a socket that follows all flows has been told that these have completed."""

    def was_the_last(message: Message) -> bool:
        if message["type"] == "flow" and message["flow"]["status"] == "completed":
            flow_ids.discard(message["flow"]["id"])
        return not flow_ids

    await socket.until(was_the_last)


async def log_of(url: str, flow_id: str) -> list[dict[str, Any]]:
    async with httpx.AsyncClient(base_url=url) as http:
        answer = await http.get(f"/flows/{flow_id}/events", params={"limit": 500})
    items: list[dict[str, Any]] = answer.json()["items"]
    return items


async def assert_log_is_right(url: str, flow_id: str) -> None:
    entries = [Event.model_validate(item) for item in await log_of(url, flow_id)]
    assert [entry.seq for entry in entries] == list(range(1, len(entries) + 1))
    ends = Counter(entry.job_id for entry in entries if entry.event in ("job.completed", "job.failed"))
    assert set(ends.values()) == {1}


async def followed(socket: Socket, flow_id: str) -> list[Message]:
    """The log as one hears it who follows the flow from its beginning."""
    await socket.send("subscribe", flowId=flow_id, after=0)
    messages = await socket.until(is_end)
    return [{k: v for k, v in one.items() if k != "type"} for one in messages if one["type"] == "event"]


async def test_sockets_on_either_api_see_every_event_of_flows_that_were_created_through_the_other(
    store_url: str, valkey: Valkey, prefix: str, tmp_path: Path
) -> None:
    with pair(tmp_path, database_url=store_url, redis_url=valkey.url, prefix=prefix) as two:
        one, other = two.urls
        async with AsyncClient(one) as client, AsyncClient(other) as there:
            async with connected(one) as here_all, connected(other) as there_all, connected(other) as there_one:
                for socket in (here_all, there_all):
                    await socket.send("subscribe")
                    await socket.pending()
                created = [await (client if n % 2 else there).create(a_sum_of(n, 1, 2)) for n in range(10)]
                logs = {flow.id: await followed(there_one, flow.id) for flow in created}
                for socket in (here_all, there_all):
                    await hears_of_the_ends(socket, {flow.id for flow in created})
            assert logs == {flow.id: await log_of(one, flow.id) for flow in created}


async def until_taken_over(two: Pair) -> float:
    begun = monotonic()

    async def leads() -> bool:
        return "leader.elected" in two.standby.log()

    await eventually(leads, within=TAKEOVER_WITHIN + 5)
    return monotonic() - begun


async def test_when_the_recorder_is_killed_the_other_one_takes_over_within_ten_seconds(
    store_url: str, valkey: Valkey, prefix: str, tmp_path: Path
) -> None:
    """With the settings of every day."""
    with pair(tmp_path, database_url=store_url, redis_url=valkey.url, prefix=prefix) as two:
        async with AsyncClient(two.urls[0]) as client:
            before = await client.create(a_sum_of(1, 2))
            two.leader.kill()
            begun = monotonic()
            after = await client.create(a_sum_of(3, 4))

            ended = [await client.wait(flow.id, timeout=TAKEOVER_WITHIN) for flow in (before, after)]

            assert monotonic() - begun < TAKEOVER_WITHIN
            assert [flow.result for flow in ended] == [3, 7]
            for flow in ended:
                await assert_log_is_right(two.urls[1], flow.id)


# Who is stopped while it writes keeps SQLite's lock, and nobody can help that.
@pytest.mark.parametrize(
    ("databases", "busy"), [("sqlite", False), ("postgres", False), ("postgres", True)], indirect=["databases"]
)
async def test_a_recorder_that_was_stopped_for_longer_than_its_lease_writes_nothing_when_it_goes_on(
    store_url: str, valkey: Valkey, prefix: str, tmp_path: Path, busy: bool
) -> None:
    with pair(tmp_path, database_url=store_url, redis_url=valkey.url, prefix=prefix) as two:
        async with AsyncClient(two.urls[0]) as client:
            flows = [await client.create(a_sum_of(n, 1)) for n in range(40 if busy else 1)]
            if not busy:
                await client.wait(flows[0].id, timeout=20)
            os.kill(two.leader.pid, signal.SIGSTOP)
            assert await until_taken_over(two) < TAKEOVER_WITHIN
            flows += [await client.create(a_sum_of(n, 1)) for n in range(len(flows), len(flows) + 5)]
            os.kill(two.leader.pid, signal.SIGCONT)
            flows += [await client.create(a_sum_of(n, 1)) for n in range(len(flows), len(flows) + 5)]

            for n, flow in enumerate(flows):
                assert (await client.wait(flow.id, timeout=20)).result == n + 1
                await assert_log_is_right(two.urls[1], flow.id)

            async def replaced() -> bool:
                return "leader.replaced" in two.leader.log()

            await eventually(replaced)
            assert two.leader.log().count("leader.elected") == 1
            assert await asyncio.to_thread(two.leader.stop) == 0
