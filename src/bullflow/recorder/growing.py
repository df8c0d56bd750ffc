"""Takes children that running jobs have added into the record, in the transaction that records what becomes of them."""

from collections.abc import Sequence

from structlog.typing import FilteringBoundLogger

from bullflow.clock import Clock
from bullflow.engine.stream import RawGrowth
from bullflow.errors import Invalid, NotFound
from bullflow.flow import ending
from bullflow.flow.growth import Growth, grow
from bullflow.flow.record import Changes, FlowState
from bullflow.flow.states import ENDED
from bullflow.flow.tree import NewJob
from bullflow.store import changing, decisions, flows, states, streams
from bullflow.store.transaction import Transaction
from bullflow.wire import Limits, read_growth

PARENT_ENDED = "the job that has added it had ended"


class Growing:
    """Reads what workers tell; what does not fit is logged and left out."""

    def __init__(self, limits: Limits, *, clock: Clock, log: FilteringBoundLogger) -> None:
        self._limits = limits
        self._clock = clock
        self._log = log

    def read(self, told: Sequence[RawGrowth]) -> list[Growth]:
        """What was told and makes sense, flow by flow, which is the order in which flows are locked."""
        known: list[Growth] = []
        for raw in told:
            try:
                known.append(read_growth(raw.text, raw.at, self._limits))
            except Invalid as error:
                self._log.warning("recorder.growth_refused", reason=str(error))
        return sorted(known, key=lambda growth: (growth.flow_id, growth.at))

    async def take_in(self, transaction: Transaction, growths: Sequence[Growth]) -> list[Changes]:
        """Store the jobs that were added; returns what changed by it."""
        changes: list[Changes] = []
        for growth in growths:
            try:
                changes += await self._take_in(transaction, growth)
            except NotFound as error:
                self._log.warning("recorder.growth_refused", reason=str(error))
        if growths:
            await streams.know(transaction, queues_of(growths))
        return changes

    async def _take_in(self, transaction: Transaction, growth: Growth) -> list[Changes]:
        flow = await states.flow(transaction, None, growth.flow_id)
        ids = [job.id for job in growth.jobs]
        parent, known, position = await states.place_of_growth(transaction, flow.id, growth.parent_job_id, ids)
        if parent is None:
            return []
        if parent.depth + 1 >= self._limits.depth:
            # What lies below is not even stored: the withdrawal follows running jobs to what they have added.
            return await self._fail(transaction, flow, self._too_deep)
        grown = grow(flow, parent, growth, known, position)
        if grown is None:
            return []
        await flows.add_jobs(transaction, flow.id, grown.jobs, growth.at)
        await changing.apply(transaction, grown.changes)
        (after,) = grown.changes.flows
        more = await self._end_what_may_not_run(transaction, after, grown.jobs, parent_ended=parent.status in ENDED)
        return [grown.changes, *more]

    async def _end_what_may_not_run(
        self, transaction: Transaction, flow: FlowState, new: Sequence[NewJob], *, parent_ended: bool
    ) -> list[Changes]:
        """A flow may not grow past its limits, and jobs of a parent that was cancelled meanwhile do not run."""
        if sum(flow.counts.values()) > self._limits.jobs:
            return await self._fail(transaction, flow, self._too_many)
        if max(job.depth for job in new) >= self._limits.depth:
            return await self._fail(transaction, flow, self._too_deep)
        if not parent_ended:
            return []
        ids = {job.id for job in new}
        dropped = [job for job in await states.open_jobs(transaction, flow.id) if job.id in ids]
        changes = ending.drop(flow, dropped, self._clock(), PARENT_ENDED)
        await decisions.end(transaction, changes)
        return [changes]

    async def _fail(self, transaction: Transaction, flow: FlowState, message: str) -> list[Changes]:
        open_jobs = await states.open_jobs(transaction, flow.id)
        if not open_jobs:
            return []
        changes = ending.fail(flow, open_jobs, self._clock(), message)
        await decisions.end(transaction, changes)
        return [changes]

    @property
    def _too_many(self) -> str:
        return f"the flow has grown beyond {self._limits.jobs} jobs (BULLFLOW_MAX_JOBS)"

    @property
    def _too_deep(self) -> str:
        return f"the flow has grown beyond {self._limits.depth} levels (BULLFLOW_MAX_DEPTH)"


def queues_of(growths: Sequence[Growth]) -> set[str]:
    """The queues on which the jobs run that were added."""
    return {job.node.queue_name for growth in growths for job in growth.jobs}
