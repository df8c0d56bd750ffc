"""Retry a flow, or one job of it: what failed or was cancelled runs again, and what depends on it."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

from bullflow.clock import Clock
from bullflow.errors import Conflict
from bullflow.flow import retry
from bullflow.flow.access import Caller
from bullflow.flow.facts import Json
from bullflow.flow.record import Changes, FlowState, JobState
from bullflow.flow.states import FLOW_ENDED, OPEN
from bullflow.service.quotas import Quotas
from bullflow.store import acts, decisions, reruns, states
from bullflow.store.acts import Done
from bullflow.store.database import Database
from bullflow.store.transaction import Transaction

Finish = Callable[[str], Awaitable[None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a retry runs again, in tree order, and the completed jobs whose results it uses: ids with names."""

    flow_id: str
    again: Sequence[JobState]
    reused: Mapping[str, str]
    changes: Changes


class Retry:
    """The use case. `finish` takes the rest of the last run out of the engine; `decided` is told after the commit."""

    def __init__(
        self, database: Database, *, clock: Clock, quotas: Quotas, finish: Finish, decided: Callable[[Plan], None]
    ) -> None:
        self._database = database
        self._clock = clock
        self._quotas = quotas
        self._finish = finish
        self._decided = decided

    async def flow(self, caller: Caller, flow_id: str, *, dry_run: bool = False) -> Plan:
        """Run again what did not complete; raises NotFound, Conflict when there is nothing, StoreAway, EngineAway."""
        return await self._retry(caller, flow_id, None, None, dry_run=dry_run)

    async def job(self, caller: Caller, job_id: str, data: Json | None = None, *, dry_run: bool = False) -> Plan:
        """Run this job again, with new data if there is some, and every job above it."""
        flow_id = await self._database.look(states.flow_of, caller.user_id, job_id)
        return await self._retry(caller, flow_id, job_id, data, dry_run=dry_run)

    async def _retry(
        self, caller: Caller, flow_id: str, job_id: str | None, data: Json | None, *, dry_run: bool
    ) -> Plan:
        if dry_run:
            async with self._database.read() as snapshot:
                flow = await states.flow(snapshot, caller.user_id, flow_id, lock=False)
                return await self._plan(snapshot, flow, job_id)
        while True:
            plan = await self._keep(caller, flow_id, job_id, data)
            if plan is not None:
                self._decided(plan)
                return plan
            await self._finish(flow_id)

    async def _keep(self, caller: Caller, flow_id: str, job_id: str | None, data: Json | None) -> Plan | None:
        """The plan, carried out in the store; None when the last run has to be taken out of the engine first."""
        async with self._database.write() as transaction:
            flow = await states.flow(transaction, caller.user_id, flow_id)
            _check_ended(flow)
            if flow.withdraw_due:
                return None
            plan = await self._plan(transaction, flow, job_id)
            if self._quotas.look_at_store:
                room = await self._quotas.room(transaction, caller.user_id)
                room.take(1, 0 if data is None else data.size)
            await decisions.rerun(transaction, plan.changes)
            await reruns.begin(transaction, flow_id, self._clock())
            if job_id is not None and data is not None:
                await reruns.set_data(transaction, caller.user_id, job_id, data)
            acts.note(transaction, [self._done(caller, flow_id, job_id)])
        return plan

    def _done(self, caller: Caller, flow_id: str, job_id: str | None) -> Done:
        action, target = ("flow.retry", flow_id) if job_id is None else ("job.retry", job_id)
        return Done(caller=caller, action=action, target=target, at=self._clock())

    async def _plan(self, transaction: Transaction, flow: FlowState, job_id: str | None) -> Plan:
        _check_ended(flow)
        unfinished = await states.unfinished_jobs(transaction, flow.id)
        if job_id is None:
            again = retry.of_flow(unfinished)
        else:
            again = retry.of_job(await states.job_with_those_above(transaction, flow.id, job_id))
        if not again:
            raise Conflict("There is nothing to retry: no job that the result depends on has failed or was cancelled.")
        delays = await reruns.delays(transaction, [job.id for job in again])
        others = [job for job in unfinished if job.status in OPEN]
        changes = retry.reopen(flow, again, others, delays, self._clock())
        reused = await reruns.completed_below(transaction, [job.id for job in again])
        return Plan(flow_id=flow.id, again=again, reused=reused, changes=changes)


def _check_ended(flow: FlowState) -> None:
    if flow.status not in FLOW_ENDED:
        raise Conflict(f"The flow is {flow.status}; it can be retried when it has ended. Cancel it, or wait.")
