"""What it costs that many flows are stored: lists, one flow, a lone flow and a burst, with few and with many."""

import statistics
import tempfile
import time
from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from bench.connections import Http, connected
from bench.databases import Store
from bench.driving import NOOP, burst, completed, one_by_one, percentile
from bench.figures import JOBS_A_SECOND, MILLISECONDS, Curves, Figure
from bench.filling import copy_id, fill
from bench.plan import Plan, run
from bench.service import Running, up

SHOWN = 10
"""Flows in a page: as many as are there when the fewest are stored."""
ROUNDS = 3
ASKED = 100
"""Different flows that are read in turns."""
LISTS = {
    "GET /flows": {},
    "GET /flows?status=completed": {"status": "completed"},
    "GET /flows?name=parent&queueName=bench": {"name": "parent", "queueName": "bench"},
}
COSTS = (*LISTS, "GET /flows/{id}", "GET /flows/{id}/jobs", "lone flow, POST to completed")
SPEED = "burst"


def stored(plan: Plan, curves: Curves) -> list[Figure]:
    figures: list[Figure] = []
    for store in plan.stores:
        points = _points(plan, store)
        curves[f"stored {store.name}"] = [
            {"flows": size, **{name: statistics.median(values) for name, values in point.items()}}
            for size, point in points.items()
        ]
        fewest, *others = points
        for size in others:
            figures += [_figure(store, cost, points, fewest, size) for cost in (*COSTS, SPEED)]
    return figures


def _figure(store: Store, cost: str, points: dict[int, dict[str, list[float]]], fewest: int, size: int) -> Figure:
    goal = cost in ("GET /flows", "GET /flows/{id}") and size == 1_000_000
    return Figure(
        title=f"{cost}{'' if cost == SPEED else ', p95'}, {size:,} flows stored: {store.name}",
        ours=points[size][cost],
        unit=JOBS_A_SECOND if cost == SPEED else MILLISECONDS,
        peer=points[fewest][cost],
        peer_name=f"{fewest} stored",
        reach="1.5×" if goal else "",
        aim="1.1×" if goal else "",
    )


def _points(plan: Plan, store: Store) -> dict[int, dict[str, list[float]]]:
    """By size of the store: milliseconds of each cost, and the speed of a burst, a value a round."""
    points = {}
    with store.empty() as url, tempfile.TemporaryDirectory(prefix="bullflow-bench-") as folder:
        data_dir = Path(folder) / "data"
        template = _in(url, data_dir, _template)
        has = 0
        for size in plan.stored:
            fill(url or f"sqlite:///{data_dir / 'bullflow.db'}", template, has, size)
            has = size
            points[size] = _in(url, data_dir, partial(_costs, plan=plan, paths=_paths(template, size)))
    return points


def _in(url: str | None, data_dir: Path, take: Callable[[Running], Coroutine[Any, Any, Any]]) -> Any:
    with up(url, data_dir=data_dir) as running:
        return run(take(running))


async def _template(running: Running) -> str:
    async with connected(running.url) as http:
        flow_id: str = (await http.post("/flows", NOOP))["id"]
        await completed(http, flow_id)
        return flow_id


async def _costs(running: Running, *, plan: Plan, paths: Sequence[str]) -> dict[str, list[float]]:
    costs: dict[str, list[float]] = {name: [] for name in (*COSTS, SPEED)}
    async with connected(running.url) as http:
        for _ in range(ROUNDS):
            for name, parameters in LISTS.items():
                costs[name].append(await _p95(http, plan.runs, ["/flows"], limit=SHOWN, **parameters))
            costs["GET /flows/{id}"].append(await _p95(http, plan.runs, paths))
            costs["GET /flows/{id}/jobs"].append(await _p95(http, plan.runs, [f"{path}/jobs" for path in paths]))
            times = await one_by_one(http, plan.runs)
            costs["lone flow, POST to completed"].append(percentile(times.whole, 95) * 1000)
        costs[SPEED] = [(await burst(http, plan.flows, plan.clients)).speed for _ in range(ROUNDS)]
    return costs


def _paths(template: str, size: int) -> list[str]:
    """Of flows from all over the store."""
    return [f"/flows/{copy_id(template, number * size // ASKED)}" for number in range(ASKED)]


async def _p95(http: Http, runs: int, paths: Sequence[str], **parameters: Any) -> float:
    """Milliseconds."""
    took = []
    for number in range(runs):
        start = time.perf_counter()
        await http.get(paths[number % len(paths)], **parameters)
        took.append(time.perf_counter() - start)
    return percentile(took, 95) * 1000
