"""What one flow of N jobs costs: create, run, read, cancel, retry."""

import statistics
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import orjson

from bench.connections import Http, connected
from bench.databases import Store
from bench.driving import PAGE, completed, warm_up
from bench.figures import JOBS_A_SECOND, MILLISECONDS, Figure
from bench.noop import NOBODYS, flow
from bench.peers import programs
from bench.plan import CONCURRENCY, Plan, run
from bench.service import up

SIZES = {10: 20, 100: 20, 1_000: 5, 10_000: 1}
"""How often each size is measured, a round, when what is done once at a time is done so often:"""
OF_RUNS = 200
GOAL = 10_000
VERBS = {
    "create": "POST /flows",
    "read": "GET /flows/{id}",
    "pages": "all its jobs in pages of 500",
    "cancel": "cancel, all waiting",
    "retry": "retry after that, all",
}
NODES = {"create": "add", "pages": "getFlow", "cancel": "remove"}
"""What of BullMQ is nearest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Costs:
    """Milliseconds of each verb, a value a round; jobs a second of the whole flow."""

    verbs: dict[str, list[float]] = field(default_factory=lambda: {verb: [] for verb in VERBS})
    speeds: list[float] = field(default_factory=list)


def sizes(plan: Plan) -> list[Figure]:
    ours = {(store.name, jobs): _Costs() for store in plan.stores for jobs in SIZES}
    node = {jobs: _Costs() for jobs in SIZES}
    for _ in range(plan.rounds):
        for store in plan.stores:
            _measure(plan, store, ours)
        for jobs in SIZES:
            answer = programs.node(mode="sizes", jobs=jobs, runs=_runs(plan, jobs), concurrency=CONCURRENCY)
            for verb, name in (("create", "create"), ("pages", "read"), ("cancel", "cancel")):
                node[jobs].verbs[verb].append(statistics.median(answer[name]) * 1000)
    return [
        figure for (store_name, jobs), costs in ours.items() for figure in _figures(store_name, jobs, costs, node[jobs])
    ]


def _figures(store: str, jobs: int, costs: _Costs, node: _Costs) -> list[Figure]:
    figures = [
        Figure(
            title=f"flow of {jobs:,} jobs, {title}: {store}",
            ours=costs.verbs[verb],
            unit=MILLISECONDS,
            peer=node.verbs[verb],
            peer_name=f"BullMQ Node, {NODES[verb]}" if verb in NODES else "",
            reach="1.5 s" if verb == "create" and jobs == GOAL else "",
            aim="0.7 s" if verb == "create" and jobs == GOAL else "",
        )
        for verb, title in VERBS.items()
    ]
    title = f"flow of {jobs:,} jobs, POST to completed: {store}"
    return [*figures, Figure(title=title, ours=costs.speeds, unit=JOBS_A_SECOND)]


def _runs(plan: Plan, jobs: int) -> int:
    return max(1, SIZES[jobs] * plan.runs // OF_RUNS)


def _measure(plan: Plan, store: Store, ours: dict[tuple[str, int], _Costs]) -> None:
    """One round on a new service."""
    with store.empty() as url, up(url) as running:
        for jobs in SIZES:
            run(_of_size(running.url, jobs, _runs(plan, jobs), ours[store.name, jobs]))


async def _of_size(url: str, jobs: int, runs: int, costs: _Costs) -> None:
    took: dict[str, list[float]] = {verb: [] for verb in VERBS}
    body = orjson.dumps(flow(jobs - 1))
    waiting = orjson.dumps(flow(jobs - 1, queue=NOBODYS))
    speeds = []
    async with connected(url) as http:
        await warm_up(http)
        for _ in range(runs):
            start = time.perf_counter()
            created = await _timed(took["create"], lambda: http.post("/flows", body))
            path = f"/flows/{created['id']}"
            await completed(http, created["id"])
            speeds.append(jobs / (time.perf_counter() - start))
            await _timed(took["read"], lambda path=path: http.get(path))  # type: ignore[misc]
            await _timed(took["pages"], lambda path=path: _pages(http, path, jobs))  # type: ignore[misc]
            path = f"/flows/{(await http.post('/flows', waiting))['id']}"
            await _until_dispatched(http, path)
            await _timed(took["cancel"], lambda path=path: http.post(f"{path}/cancel"))  # type: ignore[misc]
            await _timed(took["retry"], lambda path=path: http.post(f"{path}/retry"))  # type: ignore[misc]
            await http.post(f"{path}/cancel")
    for verb, values in took.items():
        costs.verbs[verb].append(statistics.median(values) * 1000)
    costs.speeds.append(statistics.median(speeds))


async def _pages(http: Http, path: str, jobs: int) -> None:
    cursor: dict[str, str] = {}
    listed = 0
    while listed < jobs:
        page = await http.get(f"{path}/jobs", limit=PAGE, **cursor)
        listed += len(page["items"])
        cursor = {"cursor": page["next"]}


async def _until_dispatched(http: Http, path: str) -> None:
    """Return when the log says so: the second entry of a new flow."""
    while not any(e["event"] == "flow.dispatched" for e in (await http.get(f"{path}/events"))["items"]):
        pass


async def _timed(into: list[float], act: Callable[[], Awaitable[Any]]) -> Any:
    start = time.perf_counter()
    answer = await act()
    into.append(time.perf_counter() - start)
    return answer
