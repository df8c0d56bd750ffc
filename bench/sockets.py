"""Many sockets on one api process, each following its own running flow: how late, and how much memory."""

import asyncio
import random
from collections.abc import Mapping, Sequence
from typing import Any

import orjson
import psutil

from bench.connections import Http, connected
from bench.driving import JOBS, percentile
from bench.figures import MILLISECONDS, Figure
from bench.noop import CHILDREN, flow
from bench.plan import Plan, run
from bench.service import Running, apart
from bench.watching import follow_each, hear_out

JOBS_A_SECOND = 500
SETTLED_AFTER = 3.0
"""Seconds after which a process has got the memory that it needs."""


def sockets(plan: Plan) -> list[Figure]:
    figures = []
    for store in plan.stores:
        delays, memory = [], []
        for _ in range(plan.rounds):
            with store.empty() as url, apart(url) as running:
                delay, size = run(_sockets(running, plan))
            delays.append(delay * 1000)
            memory.append(size / 1024)
        title = f"{plan.sockets:,} sockets on one api process"
        figures += [
            Figure(
                title=f"{title}, handler returned to event, p95: {store.name}",
                ours=delays,
                unit=MILLISECONDS,
                reach="150 ms",
            ),
            Figure(title=f"{title}, memory of a socket: {store.name}", ours=memory, unit="KiB", reach="64 KiB"),
        ]
    return figures


async def _sockets(running: Running, plan: Plan) -> tuple[float, float]:
    """The p95 of the delays in seconds, and the bytes of a socket."""
    api = running.parts["api"]
    async with connected(running.url) as http:
        # Long enough from now that all sockets are there before the first job runs.
        wait = 5 + plan.sockets / 25
        created = await _create(http, plan, wait)
        await asyncio.sleep(SETTLED_AFTER)
        before = _private(api)
        opened = await follow_each(running.url, created)
        await asyncio.sleep(SETTLED_AFTER)
        size = (_private(api) - before) / plan.sockets
        heard = await hear_out(opened)
        for socket in opened:
            await socket.close()
    if len(heard.delays) != plan.sockets * JOBS:
        raise SystemExit(f"{len(heard.delays)} events of {plan.sockets * JOBS} jobs")
    return percentile(heard.delays, 95), size


def _private(process: psutil.Process) -> int:
    return int(process.memory_info().rss)


async def _create(http: Http, plan: Plan, wait: float) -> list[str]:
    """Flows whose jobs run from so many seconds on, at a steady rate; their ids."""
    length = plan.sockets * JOBS / JOBS_A_SECOND
    waiting = iter([_delayed(wait, length) for _ in range(plan.sockets)])
    created: list[str] = []

    async def submit() -> None:
        for body in waiting:
            created.append((await http.post("/flows", body))["id"])  # noqa: PERF401 - all submitters share it

    await asyncio.gather(*(submit() for _ in range(plan.clients)))
    return created


def _delayed(wait: float, length: float) -> bytes:
    """A flow whose children run somewhen in this length of time, after the wait."""
    parent: Mapping[str, Any] = flow(kind="noted-")
    children: Sequence[dict[str, Any]] = parent["children"]
    delays = [round(1000 * (wait + random.uniform(0, length))) for _ in range(CHILDREN)]
    delayed = [{**child, "opts": {"delay": delay}} for child, delay in zip(children, delays, strict=True)]
    return orjson.dumps({**parent, "children": delayed})
