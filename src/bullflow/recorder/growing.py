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
from bullflow.store import decisions, flows, states, streams
from bullflow.store.transaction import Transaction
from bullflow.wire import Limits, read_growth

PARENT_ENDED = "the job that has added it had ended"


class Growing:
    """Reads what workers tell; what does not fit is logged and left out."""

    def __init__(self, limits: Limits, *, clock: Clock, log: FilteringBoundLogger) -> None:
        self._limits = limits
        self._clock = clock
        self._log = log

    async def take_in(self, transaction: Transaction, told: Sequence[RawGrowth]) -> list[Changes]:
        """Store the jobs that were added; returns what changed by it."""
        changes: list[Changes] = []
        for raw in told:
            try:
                growth = read_growth(raw.text, raw.at, self._limits)
                changes += await self._take_in(transaction, growth)
            except (Invalid, NotFound) as error:
                self._log.warning("recorder.growth_refused", reason=str(error))
        return changes

    async def _take_in(self, transaction: Transaction, growth: Growth) -> list[Changes]:
        flow = await states.flow(transaction, None, growth.flow_id)
        ids = [job.id for job in growth.jobs]
        parent, known, position = await states.place_of_growth(transaction, flow.id, growth.parent_job_id, ids)
        grown = None if parent is None else grow(flow, parent, growth, known, position)
        if parent is None or grown is None:
            return []
        await flows.add_jobs(transaction, flow.id, grown.jobs, growth.at)
        await streams.know(transaction, (job.node.queue_name for job in grown.jobs))
        await states.apply(transaction, grown.changes)
        (after,) = grown.changes.flows
        new = [job.id for job in grown.jobs]
        more = await self._end_what_may_not_run(transaction, after, new, parent_ended=parent.status in ENDED)
        return [grown.changes, *more]

    async def _end_what_may_not_run(
        self, transaction: Transaction, flow: FlowState, new: Sequence[str], *, parent_ended: bool
    ) -> list[Changes]:
        """A flow may not grow past its limit, and jobs of a parent that was cancelled meanwhile do not run."""
        too_many = sum(flow.counts.values()) > self._limits.jobs
        if not too_many and not parent_ended:
            return []
        open_jobs = await states.open_jobs(transaction, flow.id)
        if too_many:
            message = f"the flow has grown beyond {self._limits.jobs} jobs (BULLFLOW_MAX_JOBS)"
            changes = ending.fail(flow, open_jobs, self._clock(), message)
        else:
            changes = ending.drop(flow, [job for job in open_jobs if job.id in new], self._clock(), PARENT_ENDED)
        await decisions.end(transaction, changes)
        return [changes]
