"""Throughput and latency against the offered load."""

from functools import partial

from bench.connections import connected
from bench.databases import Store
from bench.driving import JOBS, Times, at_a_rate, percentile
from bench.figures import MILLISECONDS, Curves, Figure
from bench.peers import programs
from bench.plan import CONCURRENCY, Plan, run
from bench.service import up

RATES = (100, 250, 500, 1_000, 1_500, 2_000, 2_500, 3_000, 4_000)
"""Jobs a second."""
OVERLOADED = 0.9
"""Once so little of the offered load is got through, more of it shows nothing."""


def load(plan: Plan, curves: Curves) -> list[Figure]:
    """A line for each store and one for bare Node; figures at 500 jobs/s."""
    contenders = {store.name: partial(_ours, plan, store) for store in plan.stores}
    for name, measure in {**contenders, "BullMQ Node": partial(_node, plan)}.items():
        line = curves[f"load {name}"] = []
        for rate in RATES:
            times, took = measure(rate / JOBS)
            done = len(times.whole) * JOBS / took
            median, high = (percentile(times.whole, percent) * 1000 for percent in (50, 95))
            line.append({"offered": rate, "done": done, "median": median, "p95": high})
            if done < OVERLOADED * rate:
                break
    node = _at(curves["load BullMQ Node"], 500)
    return [
        Figure(
            title=f"flow of 1 + 10 at 500 jobs/s, due to completed, p95: {store.name}",
            ours=[_at(curves[f"load {store.name}"], 500)],
            unit=MILLISECONDS,
            peer=[node],
            peer_name="BullMQ Node",
        )
        for store in plan.stores
    ]


def _ours(plan: Plan, store: Store, rate: float) -> tuple[Times, float]:
    with store.empty() as url, up(url, processes=1) as running:
        return run(_at_a_rate(running.url, rate, plan.seconds))


async def _at_a_rate(url: str, rate: float, seconds: float) -> tuple[Times, float]:
    async with connected(url) as http:
        return await at_a_rate(http, rate, seconds)


def _node(plan: Plan, rate: float) -> tuple[Times, float]:
    answer = programs.node(mode="rate", rate=rate, seconds=plan.seconds, events=False, concurrency=CONCURRENCY)
    return Times(whole=answer["whole"], gaps=answer["gaps"]), answer["took"]


def _at(line: list[dict[str, float]], rate: int) -> float:
    return next((point["p95"] for point in line if point["offered"] == rate), line[-1]["p95"])
