"""What it costs that many flows are stored: lists, one flow, a lone flow and a burst, with few and with many."""

import statistics
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from itertools import cycle, islice
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
ASKED = 100
"""Different flows that are read in turns."""
LISTS = {
    "GET /flows": {},
    "GET /flows?status=completed": {"status": "completed"},
    "GET /flows?name=parent&queueName=bench": {"name": "parent", "queueName": "bench"},
}
ONE, JOBS_OF_ONE, LONE = "GET /flows/{id}", "GET /flows/{id}/jobs", "lone flow, POST to completed"
COSTS = (*LISTS, ONE, JOBS_OF_ONE, LONE)
SPEED = "burst"
WARM_UP = 50


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
    points: dict[int, dict[str, list[float]]] = {}
    with ExitStack() as stack:
        filled = {size: _filled(stack, store, size) for size in plan.stored}
        # What adds flows comes last, so that the smallest store is small while it is read.
        for costs in (_reading, _writing):
            for _ in range(plan.rounds):
                for size, (url, data_dir, paths) in filled.items():
                    with up(url, data_dir=data_dir) as running:
                        measured = run(costs(running, plan, paths))
                    for name, value in measured.items():
                        points.setdefault(size, {}).setdefault(name, []).append(value)
    return points


def _filled(stack: ExitStack, store: Store, size: int) -> tuple[str | None, Path, Sequence[str]]:
    """A store with so many flows: its url, the service's data directory, and paths of flows from all over it."""
    url = stack.enter_context(store.empty())
    data_dir = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bullflow-bench-"))) / "data"
    with up(url, data_dir=data_dir) as running:
        template = run(_template(running))
    fill(url or f"sqlite:///{data_dir / 'bullflow.db'}", template, 0, size)
    return url, data_dir, [f"/flows/{copy_id(template, number * size // ASKED)}" for number in range(ASKED)]


async def _template(running: Running) -> str:
    """The id of a flow that has completed."""
    async with connected(running.url) as http:
        flow_id: str = (await http.post("/flows", NOOP))["id"]
        await completed(http, flow_id)
        return flow_id


async def _reading(running: Running, plan: Plan, paths: Sequence[str]) -> dict[str, float]:
    async with connected(running.url) as http:
        costs = {
            name: await _p95(http, plan.runs, ["/flows"], limit=SHOWN, **parameters)
            for name, parameters in LISTS.items()
        }
        costs[ONE] = await _p95(http, plan.runs, paths)
        costs[JOBS_OF_ONE] = await _p95(http, plan.runs, [f"{path}/jobs" for path in paths])
        return costs


async def _writing(running: Running, plan: Plan, _: Sequence[str]) -> dict[str, float]:
    async with connected(running.url) as http:
        times = await one_by_one(http, plan.runs)
        return {
            LONE: percentile(times.whole, 95) * 1000,
            SPEED: (await burst(http, plan.flows, plan.clients)).speed,
        }


async def _p95(http: Http, runs: int, paths: Sequence[str], **parameters: Any) -> float:
    """Milliseconds, once everything that is asked first has been asked."""
    for path in islice(cycle(paths), WARM_UP):
        await http.get(path, **parameters)
    took = []
    for number in range(runs):
        start = time.perf_counter()
        await http.get(paths[number % len(paths)], **parameters)
        took.append(time.perf_counter() - start)
    return percentile(took, 95) * 1000
