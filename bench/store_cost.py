"""Throughput with a store against the same work without any, in turns."""

from functools import partial

from bench.driving import JOBS
from bench.end_to_end import ours
from bench.figures import JOBS_A_SECOND, Figure, in_turns
from bench.peers import programs
from bench.plan import CONCURRENCY, Plan
from bench.service import up

WITHOUT = "without a store"


def store_cost(plan: Plan) -> list[Figure]:
    contenders = {store.name: partial(ours, plan, store, up) for store in plan.stores}
    values = in_turns({**contenders, WITHOUT: partial(_without, plan)}, plan.rounds)
    return [
        Figure(
            title=f"cost of the store, with REST and one process: {store.name}",
            ours=values[store.name],
            unit=JOBS_A_SECOND,
            peer=values[WITHOUT],
            peer_name=WITHOUT,
            reach="0.6×",
            aim="0.8×",
        )
        for store in plan.stores
    ]


def _without(plan: Plan) -> float:
    size = {"mode": "burst", "flows": plan.flows, "clients": plan.clients, "concurrency": CONCURRENCY}
    return plan.flows * JOBS / float(programs.python("storeless", **size)["seconds"])
