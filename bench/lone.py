"""One flow at a time on an idle system, ours through REST and the peers."""

from functools import partial

from bench.connections import connected
from bench.databases import Store
from bench.driving import Times, one_by_one, percentile
from bench.figures import MILLISECONDS, Figure
from bench.peers import programs
from bench.plan import CONCURRENCY, Plan, run
from bench.service import up

PEERS = {
    "BullMQ Node": partial(programs.node, concurrency=CONCURRENCY),
    "SAQ": partial(programs.saq, concurrency=CONCURRENCY),
    "BullMQ Python": partial(programs.python, "peers.bullmq_python", concurrency=CONCURRENCY),
    "Celery": partial(programs.python, "peers.celery_app"),
}


def lone(plan: Plan) -> list[Figure]:
    ours: dict[str, list[Times]] = {store.name: [] for store in plan.stores}
    theirs: dict[str, list[Times]] = {name: [] for name in PEERS}
    for _ in range(plan.rounds):
        for store in plan.stores:
            ours[store.name].append(_ours(plan, store))
        for name, program in PEERS.items():
            theirs[name].append(Times(**program(mode="lone", runs=plan.runs)))
    node = theirs["BullMQ Node"]
    figures = []
    for name, times in ours.items():
        figures += [
            _figure(f"lone flow, POST to completed, median: {name}", times, node, "whole", 50, ("20 ms", "14 ms")),
            _figure(f"lone flow, POST to completed, p95: {name}", times, node, "whole", 95, ("35 ms", "23 ms")),
            _figure(f"lone flow, answer to POST, p95: {name}", times, [], "post", 95),
            _figure(f"lone flow, last child done to parent starts, p95: {name}", times, node, "gaps", 95),
        ]
    first, times = next(iter(ours.items()))
    return figures + [
        _figure(
            f"lone flow, POST to completed, median: {first}, against {name}",
            times,
            theirs[name],
            "whole",
            50,
            peer=name,
        )
        for name in list(PEERS)[1:]
    ]


def _ours(plan: Plan, store: Store) -> Times:
    with store.empty() as url, up(url, processes=1) as running:
        return run(_one_by_one(running.url, plan.runs))


async def _one_by_one(url: str, runs: int) -> Times:
    async with connected(url) as http:
        return await one_by_one(http, runs)


def _figure(
    title: str,
    ours: list[Times],
    theirs: list[Times],
    part: str,
    percent: int,
    goals: tuple[str, str] = ("", ""),
    *,
    peer: str = "BullMQ Node",
) -> Figure:
    reach, aim = goals
    return Figure(
        title=title,
        ours=[percentile(getattr(times, part), percent) * 1000 for times in ours],
        unit=MILLISECONDS,
        peer=[percentile(getattr(times, part), percent) * 1000 for times in theirs],
        peer_name=peer if theirs else "",
        reach=reach,
        aim=aim,
    )
