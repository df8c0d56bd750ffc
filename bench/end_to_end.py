"""From the first submit to the last result readable: ours through REST, and the peers, in turns."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial

from bench.connections import connected
from bench.databases import Store
from bench.driving import JOBS, Burst, burst
from bench.figures import JOBS_A_SECOND, Figure, fastest, in_turns
from bench.peers import programs
from bench.plan import CONCURRENCY, Plan, run
from bench.service import Running, up

NODE = ("BullMQ Node, add", "BullMQ Node, addBulk of 50")
OTHERS = ("SAQ", "BullMQ Python", "Celery")
GOALS = {"SQLite": ("0.6×", "1.0×"), "Postgres": ("0.5×", "0.8×")}
SHAPES: dict[str, Callable[[str | None], AbstractContextManager[Running]]] = {
    "one process": up,
    "workers apart": partial(up, processes=1),
}


def end_to_end(plan: Plan) -> list[Figure]:
    contenders = {
        f"{store.name}, {shape}": partial(ours, plan, store, start)
        for store in plan.stores
        for shape, start in SHAPES.items()
    }
    values = in_turns(contenders | peers(plan), plan.rounds)
    node = fastest(values, NODE)
    figures = []
    for store in plan.stores:
        shapes = [f"{store.name}, {shape}" for shape in SHAPES]
        best = fastest(values, shapes)
        for name in shapes:
            reach, aim = GOALS[store.name] if name == best else ("", "")
            title = f"end to end through REST: {name}"
            figures.append(_against(title, values[name], node, values[node], reach=reach, aim=aim))
    best = fastest(values, list(contenders))
    slower_node = next(name for name in NODE if name != node)
    rest = (slower_node, *OTHERS)
    return figures + [
        _against(f"end to end: {best}, against {peer}", values[best], peer, values[peer]) for peer in rest
    ]


def ours(plan: Plan, store: Store, start: Callable[[str | None], AbstractContextManager[Running]]) -> float:
    """Jobs a second."""
    with store.empty() as url, start(url) as running:
        return run(_burst(running, plan)).speed


async def _burst(running: Running, plan: Plan) -> Burst:
    async with connected(running.url) as http:
        return await burst(http, plan.flows, plan.clients)


def peers(plan: Plan) -> dict[str, Callable[[], float]]:
    """What gives the jobs a second of each peer."""
    size = {"mode": "burst", "flows": plan.flows}
    own = {"concurrency": CONCURRENCY}
    asked = {"clients": plan.clients, **own}
    programs_ = {
        NODE[0]: lambda: programs.node(**size, **asked, bulk=1),
        NODE[1]: lambda: programs.node(**size, **asked, bulk=50),
        "SAQ": lambda: programs.saq(**size, **own),
        "BullMQ Python": lambda: programs.python("peers.bullmq_python", **size, **asked),
        "Celery": lambda: programs.python("peers.celery_app", **size),
    }
    return {name: partial(_speed, plan, program) for name, program in programs_.items()}


def _speed(plan: Plan, program: Callable[[], dict[str, float]]) -> float:
    return plan.flows * JOBS / program()["seconds"]


def _against(
    title: str, ours: list[float], peer: str, theirs: list[float], *, reach: str = "", aim: str = ""
) -> Figure:
    return Figure(title=title, ours=ours, unit=JOBS_A_SECOND, peer=theirs, peer_name=peer, reach=reach, aim=aim)
