"""Compares the store with the engine, and mends what differs.

Four things call for it. A mark in the engine that only grows: where it is missing, or older than the
store remembers, the engine was wiped or has gone back in time. The recorder, when an event stream is
older than what was read of it, or was trimmed before it was read. An operator. And time: in a bounded round every few
seconds come flows that have been quiet for a while, whatever has happened to them.

What differs may differ only because the recorder is not there yet. So nothing is done about it before
all is recorded that the engine had told when it was looked at; then every repair decides again, under
the lock of its flow, whether what it saw still stands. So two audits at once, or one beside a slow worker,
do no more than one. Until a whole comparison is through, a word stands in the mark's place: whoever dies
in the middle leaves it to the next one.

`docs/decisions/0019-recovery.md` says why it is done like this.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Protocol

from structlog.typing import FilteringBoundLogger

from bullflow.clock import Clock, milliseconds
from bullflow.comparison import Compared, Comparison, Quiet
from bullflow.engine.connection import Client
from bullflow.engine.insist import insist
from bullflow.engine.presence import Mark, Shown, endings
from bullflow.engine.remover import Remover
from bullflow.errors import Away, LeadershipLost
from bullflow.flow.audit import STARTED_ANEW, AuditedJob, Drift, Sign, Unheard, settled
from bullflow.flow.ending import Withdrawn
from bullflow.flow.facts import Fact
from bullflow.flow.record import Changes
from bullflow.flow.recovery import recover
from bullflow.flow.states import ENDED
from bullflow.loop import Complaints, Wake
from bullflow.store import audits, decisions, reruns, states
from bullflow.store.database import Database
from bullflow.store.transaction import Transaction

BEAT_EVERY = timedelta(seconds=1)
MARK_EVERY = 2
"""Beats, for a mark that stands: it is looked at with each."""
LOOK_EVERY = timedelta(seconds=5)
QUIET_FOR = timedelta(seconds=10)
AGAIN_AFTER = timedelta(milliseconds=50)
SLACK = timedelta(seconds=60)
"""Flows that have ended so long before the engine's last mark are certain to have ended there as well."""


class Recording(Protocol):
    """What an audit needs of the recorder."""

    async def caught_up(self) -> None: ...

    def hold(self, transaction: Transaction) -> None: ...

    async def settle(self, facts: Sequence[tuple[str, Fact]]) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class _Suspicion:
    """Why everything is to be compared, and since when flows that have ended may go on in the engine."""

    reason: str
    since: int


class Auditor:
    """The loop of the leader. `lost` is awaited before anything is mended, `changed` is told after each commit."""

    def __init__(
        self,
        database: Database,
        client: Client,
        prefix: str,
        *,
        remover: Remover,
        clock: Clock,
        lost: Callable[[], Awaitable[None]],
        changed: Callable[[Changes], None],
        log: FilteringBoundLogger,
    ) -> None:
        self._database = database
        self._client = client
        self._prefix = prefix
        self._remover = remover
        self._comparison = Comparison(database, client, prefix)
        self._mark = Mark(client, prefix)
        self._clock = clock
        self._lost = lost
        self._changed = changed
        self.log = log
        self._complaints = Complaints("auditor", log)
        self._remembered: Sign | None = None
        self._suspicion: _Suspicion | None = None
        self._next_look = 0
        self._beats = 0
        self._quiet = Quiet()
        self.wake = Wake()

    def begin(self, recorder: Recording) -> None:
        """Called when this process becomes the leader: others may have looked since it last was."""
        self._recorder = recorder
        self._remembered = None
        self._suspicion = None  # what is still to be done, the mark tells

    def suspect(self, reason: str, good_until: int | None = None) -> None:
        """Compare everything as soon as possible, once more if that is being done.

        What ended before `good_until`, an instant in milliseconds, has certainly ended in the engine too.
        """
        if good_until is None:
            good_until = self._clock() if self._remembered is None else self._remembered.mark
        since = good_until - milliseconds(SLACK)
        if self._suspicion is None:
            tell = self.log.info if reason == STARTED_ANEW else self.log.warning
            tell("auditor.suspects", reason=reason)
        else:
            since = min(since, self._suspicion.since)
        self._suspicion = _Suspicion(reason=reason, since=since)
        self.wake.ring()

    async def run_once(self) -> int:
        """Look whether the engine is the one that it was, and compare what is due; returns how many flows drifted."""
        shown = await self._look_at_sign()
        if self._suspicion is not None:
            await self._lost()
            comparing = f"comparing-{self._clock()}"
            await self._mark.write(comparing, shown.text)
            drifted = await self._compare_all(self._suspicion, comparing)
            shown = replace(shown, text=comparing)
        elif self._clock() >= self._next_look:
            drifted = await self._compare_some()
        else:
            drifted = 0
        self._beats += 1
        # The mark alone tells of a server that does not say when its life began.
        is_due = shown.mark is None or shown.server is None or self._beats % MARK_EVERY == 0
        if self._suspicion is None and is_due:
            await self._move_mark(shown)
        return drifted

    async def _look_at_sign(self) -> Shown:
        if self._remembered is None:
            self._remembered = await self._database.look(audits.sign, self._prefix)
        # An engine that comes back may have forgotten what workers are about to begin again.
        shown = await insist(self._mark.read, self._complaints, longest_pause=AGAIN_AFTER)
        self._complaints.over()
        doubt = self._remembered.doubt(shown.mark, shown.server) if self._remembered is not None else None
        if doubt is not None and self._remembered is not None:
            known = self._remembered.mark if shown.mark is None else min(shown.mark, self._remembered.mark)
            if self._suspicion is None or known - milliseconds(SLACK) < self._suspicion.since:
                self.suspect(doubt, known)
        return shown

    async def _move_mark(self, shown: Shown) -> None:
        """First in the engine, so that the store never remembers one that was not there."""
        known = self._remembered.mark if self._remembered is not None else 0
        sign = Sign(mark=max(self._clock(), (shown.mark or 0) + 1, known + 1), server=shown.server)
        if not await self._mark.write(str(sign.mark), shown.text):
            return  # it was wiped meanwhile, or somebody else leads: the next look decides
        async with self._database.write(replayable=True) as transaction:
            self._recorder.hold(transaction)
            audits.remember(transaction, self._prefix, sign)
        self._remembered = sign

    async def _compare_all(self, suspicion: _Suspicion, comparing: str) -> int:
        """Every flow that goes on, and those that have ended not long ago; returns how many differed.

        What is about to be dispatched or withdrawn just now is left to the look at quiet flows.
        """
        drifted = 0
        async for compared in self._comparison.all(suspicion.since):
            drifted += await self._mend(compared)
        left = (await self._mark.read()).text
        if self._suspicion is suspicion and left == comparing:
            self._suspicion = None
        self.log.info("auditor.compared", reason=suspicion.reason, drifted=drifted)
        return drifted

    async def _compare_some(self) -> int:
        now = self._clock()
        pages, self._quiet = await self._comparison.quiet(self._quiet, now - milliseconds(QUIET_FOR))
        drifted = 0
        for page in pages:
            async for compared in self._comparison.of_page(page, ended=False):
                drifted += await self._mend(compared)
        self._next_look = now + milliseconds(LOOK_EVERY - BEAT_EVERY / 2)  # a beat may come a moment early
        return drifted

    async def _mend(self, compared: Compared) -> int:
        """Mend these together; returns how many they were."""
        if not compared.drifts:
            return 0
        try:
            await self._mend_together(compared)
        except (Away, LeadershipLost, TimeoutError):
            raise
        except Exception:
            if len(compared.drifts) == 1:
                # It is found again by the look at quiet flows; those behind it must not wait for it.
                self.log.exception("auditor.flow_refused", flow_id=compared.drifts[0].flow_id)
                return 1
            for drift in compared.drifts:
                await self._mend(replace(compared, drifts=(drift,)))
        return len(compared.drifts)

    async def _mend_together(self, compared: Compared) -> None:
        drifts = compared.drifts
        await self._doom([revenant for drift in drifts for revenant in drift.revenants])
        await self._recorder.caught_up()
        await self._settle([unheard for drift in drifts for unheard in drift.unheard], compared.at)
        await self._recover([drift for drift in drifts if drift.needs_recovery], compared.jobs)

    async def _doom(self, revenants: Sequence[tuple[AuditedJob, str]]) -> None:
        """What has ended must not run again. That is certain at once: an ended job does not come back by itself."""
        if revenants:
            jobs = [
                Withdrawn(job_id=job_id, queue_name=job.queue_name, is_root=job.is_root, is_parent=job.is_parent)
                for job, job_id in revenants
            ]
            await self._remover.remove(await self._remover.doom(jobs, alone=True))

    async def _settle(self, unheard: Sequence[Unheard], at: int) -> None:
        ended = [(job.queue_name, job.job_id) for job, kind in unheard if kind is None]
        ends = await endings(self._client, self._prefix, ended) if ended else {}
        facts = settled(unheard, ends, at)
        if facts:
            await self._recorder.settle(facts)
            self.log.info("auditor.settled", jobs=len(facts))

    async def _recover(self, drifts: Sequence[Drift], jobs: Sequence[AuditedJob]) -> None:
        if not drifts:
            return
        gone = await self._certainly_gone([drift for drift in drifts if drift.all_gone], jobs)
        async with self._database.write() as transaction:
            self._recorder.hold(transaction)
            changes = await self._keep(transaction, {drift.flow_id: drift for drift in drifts}, gone)
        self.log.warning("auditor.recovered", flows=len(changes.flows), jobs=len(changes.jobs))
        self._changed(changes)

    async def _certainly_gone(self, drifts: Sequence[Drift], jobs: Sequence[AuditedJob]) -> set[str]:
        """Flows of which nothing is left, nor can come back: a dispatch of what was read before is kept out."""
        flow_ids = {drift.flow_id for drift in drifts}
        of_these = [job for job in jobs if job.flow_id in flow_ids]
        if not of_these:
            return set()
        roots = [job for job in of_these if job.is_root]
        await self._remover.keep_out([job_id for root in roots for job_id in (root.job_id, *root.earlier)])
        again = await self._comparison.of_jobs(of_these, earlier=False)
        return {drift.flow_id for drift in again.drifts if drift.all_gone}

    async def _keep(self, transaction: Transaction, drifts: dict[str, Drift], gone: set[str]) -> Changes:
        """Decide again about these flows, under their locks, and write it down."""
        flows = await states.flows(transaction, sorted(drifts))
        open_jobs = await states.open_jobs_of(transaction, [flow.id for flow in flows])
        delays = await reruns.delays(transaction, [job.id for of_flow in open_jobs.values() for job in of_flow])
        decided = [
            changes
            for flow in flows
            if (
                changes := recover(
                    flow, drifts[flow.id], open_jobs[flow.id], delays, self._clock(), all_gone=flow.id in gone
                )
            )
        ]
        changes = Changes(
            jobs=tuple(job for one in decided for job in one.jobs),
            flows=tuple(flow for one in decided for flow in one.flows),
            entries=tuple(entry for one in decided for entry in one.entries),
        )
        dropped = tuple(job for job in changes.jobs if job.status in ENDED)
        again = tuple(job for job in changes.jobs if job.status not in ENDED)
        await decisions.end(transaction, replace(changes, jobs=dropped))
        await decisions.rerun(transaction, Changes(jobs=again, flows=(), entries=()))
        return changes
