"""What cancelling, retrying and explaining cost, for a whole flow and for a small unfinished part of a large one."""

import time
from collections.abc import Awaitable, Callable
from typing import Any

import httpx

from bench.measure import Row
from bench.noop import NOBODYS, QUEUE
from bench.service import Running
from bullflow import AsyncClient

JOBS = 10_000


async def control(running: Running) -> list[Row]:
    """A flow of 10,000 jobs that wait, and one of which all but ten have completed."""
    async with AsyncClient(running.url, timeout=120) as client, httpx.AsyncClient(base_url=running.url) as http:
        waiting = await client.create(_flow(JOBS - 1, 0))
        mostly_done = await client.create(_flow(10, JOBS - 11))
        await _until(client, waiting.id, "flow.dispatched", 1)
        await _until(client, mostly_done.id, "job.completed", JOBS - 11)
        rows: list[Row] = []
        for title, flow_id in (("all waiting", waiting.id), ("10 of them waiting", mostly_done.id)):
            rows += await _figures(client, http, f"flow of {JOBS:,} jobs, {title}", flow_id)
        return rows


async def _figures(client: AsyncClient, http: httpx.AsyncClient, title: str, flow_id: str) -> list[Row]:
    explained = await _timed(lambda: http.get(f"/flows/{flow_id}/explain"))
    cancelled = await _timed(lambda: client.cancel(flow_id))
    planned = await _timed(lambda: client.retry_plan(flow_id))
    before = (await client.get(flow_id)).last_seq
    retried = await _timed(lambda: client.retry(flow_id))
    dispatched = await _timed(lambda: _until(client, flow_id, "flow.dispatched", 1, before))
    again = await _timed(lambda: client.cancel(flow_id))
    deleted = await _timed(lambda: client.delete(flow_id))
    return [
        (f"{title}: explain", _ms(explained)),
        ("cancel, twice (with a retry between)", f"{_ms(cancelled)}, {_ms(again)}"),
        ("retry, and its plan before", f"{_ms(retried)}, {_ms(planned)}"),
        ("retried to dispatched", _ms(dispatched)),
        ("delete", _ms(deleted)),
    ]


def _flow(waiting: int, done: int) -> dict[str, Any]:
    children = [{"name": "child", "queueName": NOBODYS, "data": 1}] * waiting
    children += [{"name": "child", "queueName": QUEUE, "data": 1}] * done
    return {"name": "parent", "queueName": NOBODYS, "children": children}


async def _until(client: AsyncClient, flow_id: str, event: str, times: int, after: int = 0) -> None:
    """Return when the log has so many entries of this kind behind `after`."""
    async for entry in client.watch(flow_id, after=after):
        times -= getattr(entry, "event", None) == event
        if times == 0:
            return


async def _timed(act: Callable[[], Awaitable[Any]]) -> float:
    start = time.perf_counter()
    await act()
    return time.perf_counter() - start


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms"
