"""`bullflow doctor --engine`: how the engine differs from the store, and having it mended."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from time import monotonic

from bullflow.clock import milliseconds, now_ms
from bullflow.comparison import Comparison
from bullflow.flow.audit import Drift
from bullflow.serve.base import Base, open_base
from bullflow.serve.leading import recording
from bullflow.serve.running import running
from bullflow.serve.telling import tell_suspicion
from bullflow.settings import Settings
from bullflow.store import leases
from bullflow.store.audits import Page

ENDED_WITHIN = timedelta(hours=1)
LOOK_AGAIN_AFTER = timedelta(seconds=0.5)
LOOKS = 6
REPAIRED_WITHIN = timedelta(seconds=60)
ASKED_FOR = "an operator has asked for it"


@dataclass(frozen=True, slots=True, kw_only=True)
class Examination:
    """How many flows with how many jobs were compared, which of them differ, and how many are about to be changed.

    Flows that are due to be dispatched or withdrawn differ for that long, and that is not held against them.
    """

    flows: int
    jobs: int
    drifts: Sequence[Drift]
    sizes: dict[str, int]
    """How many jobs each flow has that differs."""
    due: int
    recorder_works: bool


async def examine_engine(settings: Settings, seen: Callable[[int], None]) -> Examination:
    """Compare every flow that goes on, or has ended within the hour; raises StoreAway, EngineAway.

    What differs is looked at again for a few seconds: a recorder that is at work may only not be there yet.
    `seen` is told how many flows have been compared.
    """
    async with open_base(settings) as base:
        return await _examine(base, seen)


async def repair_engine(settings: Settings, found: Examination) -> Examination:
    """Have what differs mended by whoever leads, or by this process while nobody does; returns what still differs."""
    async with open_base(settings) as base, _a_recorder(base, is_there=found.recorder_works), running(base.work.run()):
        comparison = Comparison(base.database, base.client, settings.prefix)
        drifts, due = found.drifts, found.due
        until = monotonic() + REPAIRED_WITHIN.total_seconds()
        while (drifts or due) and monotonic() < until:
            if drifts:
                # Told again, because a bell may be missed and the leader may change.
                tell_suspicion(base, ASKED_FOR)
            await asyncio.sleep(2)
            # What was mended is dispatched again after that; before, the engine has nothing of it.
            drifts, due = await _still(comparison, found.sizes)
        return replace(found, drifts=drifts, due=due, recorder_works=await _recorder_works(base))


async def _examine(base: Base, seen: Callable[[int], None]) -> Examination:
    comparison = Comparison(base.database, base.client, base.settings.prefix)
    flows, due = Counter[str](), set[str]()
    drifts: list[Drift] = []
    async for compared in comparison.all(now_ms() - milliseconds(ENDED_WITHIN)):
        flows.update(job.flow_id for job in compared.jobs)
        due |= {job.flow_id for job in compared.jobs if job.is_due}
        drifts += compared.drifts
        seen(len(flows))
    for _ in range(LOOKS):
        if drifts:
            await asyncio.sleep(LOOK_AGAIN_AFTER.total_seconds())
            drifts, _ = await _still(comparison, _sizes(drifts, flows))
    return Examination(
        flows=len(flows),
        jobs=flows.total(),
        drifts=drifts,
        sizes=_sizes(drifts, flows),
        due=len(due),
        recorder_works=await _recorder_works(base),
    )


def _sizes(drifts: Sequence[Drift], flows: Mapping[str, int]) -> dict[str, int]:
    return {drift.flow_id: flows[drift.flow_id] for drift in drifts}


async def _still(comparison: Comparison, sizes: dict[str, int]) -> tuple[list[Drift], int]:
    """How these flows, of so many jobs, differ now, and how many of them are about to be dispatched or withdrawn."""
    drifts: list[Drift] = []
    due = 0
    async for compared in comparison.of_page(Page(flows=sizes, next=None), ended=True):
        drifts += compared.drifts
        due += len({job.flow_id for job in compared.jobs if job.is_due})
    return drifts, due


async def _recorder_works(base: Base) -> bool:
    return await base.database.look(leases.is_held, leases.RECORDER, now_ms())


@asynccontextmanager
async def _a_recorder(base: Base, *, is_there: bool) -> AsyncIterator[None]:
    if is_there:
        yield
    else:
        async with running(recording(base)):
            yield
