"""The worker alone on a queue that is full already, against Node's."""

import asyncio
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from bench.figures import JOBS_A_SECOND, Figure, in_turns
from bench.plan import Plan

ALONE = "bench.worker_alone"


def worker(plan: Plan) -> list[Figure]:
    if find_spec(ALONE) is None:
        return []
    alone: Any = import_module(ALONE)

    def rate(kind: str) -> float:
        return float(asyncio.run(alone._round(kind, 20 * plan.flows)).rate)

    values = in_turns({kind: partial(rate, kind) for kind in alone.KINDS}, plan.rounds)
    return [
        Figure(
            title=f"worker alone, prefilled queue, {alone.CONCURRENCY} at once",
            ours=values["bullflow"],
            unit=JOBS_A_SECOND,
            peer=values["node"],
            peer_name="BullMQ Node",
            reach="0.7×",
            aim="1.0×",
        )
    ]
