"""What a client does to a service in a measurement: all at once, one at a time, or so many a second."""

import asyncio
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from bench.connections import Http
from bench.noop import CHILDREN, flow

JOBS = CHILDREN + 1
EXPECTED = sum(range(CHILDREN))
NOOP = orjson.dumps(flow())
NOTED = orjson.dumps(flow(kind="noted-"))
PAGE = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Burst:
    """Seconds from the first submit until all flows were accepted, and until all results could be read."""

    flows: int
    accepted: float
    ended: float

    @property
    def speed(self) -> float:
        """Jobs a second."""
        return self.flows * JOBS / self.ended


@dataclass(frozen=True, slots=True, kw_only=True)
class Times:
    """Seconds of each flow: the answer to POST, until completed over REST, last child's return to parent's start."""

    post: list[float] = field(default_factory=list)
    whole: list[float] = field(default_factory=list)
    gaps: list[float] = field(default_factory=list)


async def burst(http: Http, flows: int, clients: int) -> Burst:
    """Flows as fast as they go. Every result is checked, once the time is taken."""
    await warm_up(http)
    waiting = iter(range(flows))
    start = time.perf_counter()

    async def submit() -> None:
        for _ in waiting:
            await http.post("/flows", NOOP)

    await asyncio.gather(*(submit() for _ in range(clients)))
    accepted = time.perf_counter() - start
    while await _goes_on(http):  # noqa: ASYNC110 - the end of many flows has no event
        await asyncio.sleep(0.02)
    ended = time.perf_counter() - start
    await _check(http, flows)
    return Burst(flows=flows, accepted=accepted, ended=ended)


async def one_by_one(http: Http, runs: int) -> Times:
    """One flow at a time on an idle system."""
    times = Times()
    await warm_up(http)
    for _ in range(runs):
        start = time.perf_counter()
        flow_id = (await http.post("/flows", NOTED))["id"]
        accepted = time.perf_counter()
        result = await completed(http, flow_id)
        times.whole.append(time.perf_counter() - start)
        times.post.append(accepted - start)
        times.gaps.append(result["began"] - result["last"])
        await asyncio.sleep(0.01)
    return times


async def at_a_rate(http: Http, rate: float, seconds: float) -> tuple[Times, float]:
    """So many flows a second, whether the ones before have ended or not; the second value is how long all took.

    A flow's time counts from when it was due, so a client that is held up hides nothing.
    """
    times = Times()
    await warm_up(http)
    start = time.perf_counter()

    async def one(due: float) -> None:
        began = time.perf_counter()
        flow_id = (await http.post("/flows", NOTED))["id"]
        times.post.append(time.perf_counter() - began)
        result = await completed(http, flow_id)
        times.whole.append(time.perf_counter() - due)
        times.gaps.append(result["began"] - result["last"])

    async with asyncio.TaskGroup() as flows:
        for number in range(round(rate * seconds)):
            due = start + number / rate
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            flows.create_task(one(due))
    return times, time.perf_counter() - start


async def warm_up(http: Http) -> None:
    """The first flows of a process pay for its imports, its scripts and its connections."""
    for _ in range(20):
        await completed(http, (await http.post("/flows", NOOP))["id"])


async def completed(http: Http, flow_id: str) -> Any:
    """The flow's result, when the record says that it has completed."""
    while (shown := await http.get(f"/flows/{flow_id}", wait=60))["status"] != "completed":
        if shown["status"] in ("failed", "cancelled"):
            raise SystemExit(f"a measured flow has {shown['status']}: {shown['error']}")
    return shown["result"]


async def _goes_on(http: Http) -> bool:
    """Whether any flow has not ended."""
    for status in ("waiting", "active"):
        if (await http.get("/flows", status=status, limit=1))["items"]:
            return True
    return False


async def _check(http: Http, flows: int) -> None:
    """Raise unless the newest of the stored flows, so many, have the right results."""
    cursor: dict[str, str] = {}
    left = flows
    while left > 0:
        page = await http.get("/flows", limit=min(PAGE, left), **cursor)
        wrong = [shown for shown in page["items"] if shown["result"] != EXPECTED]
        if wrong or not page["items"]:
            raise SystemExit(f"wrong results: {wrong[:3]}, {left} flows unseen")
        left -= len(page["items"])
        cursor = {"cursor": page["next"]}


def percentile(values: Sequence[float], percent: int) -> float:
    if len(values) == 1:
        return values[0]
    return statistics.quantiles(values, n=100, method="inclusive")[percent - 1]
