"""The worker alone on a queue that is full already, against Node's."""

import asyncio
from functools import partial

from bench.figures import JOBS_A_SECOND, Figure, in_turns
from bench.plan import Plan
from bench.worker_alone import CONCURRENCY, KINDS, one_round


def worker(plan: Plan) -> list[Figure]:
    def rate(kind: str) -> float:
        return float(asyncio.run(one_round(kind, 20 * plan.flows)).rate)

    values = in_turns({kind: partial(rate, kind) for kind in KINDS}, plan.rounds)
    return [
        Figure(
            title=f"worker alone, prefilled queue, {CONCURRENCY} at once",
            ours=values["bullflow"],
            unit=JOBS_A_SECOND,
            peer=values["node"],
            peer_name="BullMQ Node",
            reach="0.7×",
            aim="1.0×",
        )
    ]
