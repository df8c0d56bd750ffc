"""At a steady 500 jobs/s: from a handler's return to the event at a client, and from the last child to its parent."""

import asyncio
from dataclasses import dataclass

from websockets.asyncio.client import connect

from bench.connections import connected
from bench.databases import Store
from bench.driving import JOBS, NOTED, Times, completed, percentile, warm_up
from bench.figures import MILLISECONDS, Figure
from bench.peers import programs
from bench.plan import CONCURRENCY, Plan, run
from bench.service import up
from bench.watching import Watch, socket_url

RATE = 500 / JOBS
"""Flows a second."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Paced:
    gaps: list[float]
    heard: list[float]


def paced(plan: Plan) -> list[Figure]:
    ours: dict[str, list[_Paced]] = {store.name: [] for store in plan.stores}
    node: list[_Paced] = []
    for _ in range(plan.rounds):
        for store in plan.stores:
            ours[store.name].append(_ours(plan, store))
        answer = programs.node(mode="rate", rate=RATE, seconds=plan.seconds, events=True, concurrency=CONCURRENCY)
        node.append(_Paced(gaps=answer["gaps"], heard=answer["heard"]))
    figures = []
    for name, times in ours.items():
        figures += [
            _figure(f"last child done to parent starts, at 500 jobs/s, p95: {name}", times, node, "gaps", "10", "5"),
            _figure(
                f"handler returned to event at a WebSocket client (Node: QueueEvents), at 500 jobs/s, p95: {name}",
                times,
                node,
                "heard",
                "30",
                "20",
            ),
        ]
    return figures


def _ours(plan: Plan, store: Store) -> _Paced:
    with store.empty() as url, up(url, processes=1) as running:
        return run(_paced(running.url, plan.seconds))


async def _paced(url: str, seconds: float) -> _Paced:
    flows = round(RATE * seconds)
    times = Times()
    async with connected(url) as http, connect(socket_url(url), compression=None) as socket:
        await warm_up(http)
        watch = Watch(socket)
        start = asyncio.get_running_loop().time()

        async def one() -> None:
            flow_id = (await http.post("/flows", NOTED))["id"]
            await watch.follow(flow_id)

        async with asyncio.TaskGroup() as tasks:
            watching = tasks.create_task(watch.until_ended(flows))
            for number in range(flows):
                await asyncio.sleep(max(0.0, start + number / RATE - asyncio.get_running_loop().time()))
                tasks.create_task(one())
            await watching
        for flow_id in watch.heard.ended:
            result = await completed(http, flow_id)
            times.gaps.append(result["began"] - result["last"])
    if len(watch.heard.delays) != flows * JOBS:
        raise SystemExit(f"{len(watch.heard.delays)} events of {flows * JOBS} jobs")
    return _Paced(gaps=times.gaps, heard=watch.heard.delays)


def _figure(title: str, ours: list[_Paced], node: list[_Paced], part: str, reach: str, aim: str) -> Figure:
    return Figure(
        title=title,
        ours=[percentile(getattr(times, part), 95) * 1000 for times in ours],
        unit=MILLISECONDS,
        peer=[percentile(getattr(times, part), 95) * 1000 for times in node],
        peer_name="BullMQ Node",
        reach=f"{reach} ms",
        aim=f"{aim} ms",
    )
