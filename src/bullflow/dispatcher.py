"""Puts accepted flows into the engine.

A flow is due until the recorder has read of its arrival in the engine's own stream; that alone
clears the mark. So there is no moment in which a flow could be lost: a dispatcher that dies before,
during or after sending leaves the flow due, and sending it again adds nothing, because its ids are
fixed. Whoever accepts a flow rings with its id, which is the fast way, and in the same process hands over
the flow as well (`handover`); a look through the index of due flows every few seconds is the net, and the
way in which a backlog is worked off when the engine comes back.
"""

from collections import deque
from collections.abc import Sequence
from datetime import timedelta
from itertools import groupby

from structlog.typing import FilteringBoundLogger

from bullflow.clock import Clock, milliseconds
from bullflow.engine.producer import Producer
from bullflow.errors import Away
from bullflow.flow.plan import Branch, unfinished
from bullflow.handover import Handover
from bullflow.loop import Wake
from bullflow.store import backlog
from bullflow.store.database import Database
from bullflow.together import in_groups

LOOK_EVERY = timedelta(seconds=2)
LOOK_AGAIN_AFTER = timedelta(seconds=1.5)
"""Before that, only what it was told of is sent. It is less, because the loop may wake a moment early."""
SEND_AGAIN_AFTER = timedelta(seconds=30)
FLOWS_A_ROUND = 200
JOBS_A_ROUND = 4_000
LARGEST_BACKLOG = 50_000


class Dispatcher:
    """The loop's state: ids that were rung, and when flows were sent that are not seen to have arrived."""

    def __init__(
        self,
        database: Database,
        producer: Producer,
        *,
        handover: Handover,
        clock: Clock,
        log: FilteringBoundLogger,
    ) -> None:
        self._database = database
        self._producer = producer
        self._handover = handover
        self._clock = clock
        self.log = log
        self._rung: deque[tuple[str, int]] = deque(maxlen=LARGEST_BACKLOG)
        self._sent: dict[str, int] = {}
        self._next_look = 0
        self.wake = Wake()

    def hear(self, flow_sizes: Sequence[tuple[str, int]] | None) -> None:
        """These flows, of so many jobs, were just accepted or retried; None says that some may have been missed."""
        if flow_sizes is None:
            self._next_look = 0
        for flow_id, jobs in flow_sizes or ():
            self._sent.pop(flow_id, None)  # what was sent was an earlier run
            self._rung.append((flow_id, jobs))
        self.wake.ring()

    def begin(self) -> None:
        """Called when this process becomes the leader: what was rung before, the one before it has done or left due."""
        self._rung.clear()
        self._sent.clear()
        self._next_look = 0
        self._handover.open()

    def end(self) -> None:
        """Called when this process leads no more."""
        self._handover.close()

    async def run_once(self) -> int:
        """Send some flows; returns how many."""
        now = self._clock()
        due = await self._due(now)
        if not due:
            return 0
        # Before sending: who is heard of meanwhile has a new run, and is no longer among those that were sent.
        self._sent.update(dict.fromkeys(due, now))
        sent: set[str] = set()
        try:
            # In groups, so that memory is bounded by the largest flow.
            for group in in_groups(due, due.__getitem__, JOBS_A_ROUND):
                sent |= await self._send(group)
        except BaseException:
            # They are still due in the store; look for them as soon as the engine is back.
            self._next_look = 0
            self._handover.forget()
            raise
        finally:
            # What was left out (see `Producer.add`) is looked for again.
            for flow_id in due.keys() - sent:
                self._sent.pop(flow_id, None)
        self.log.debug("dispatcher.sent", flows=len(sent))
        return len(sent)

    async def _send(self, flow_ids: Sequence[str]) -> set[str]:
        """Send these flows together; returns those that need not be sent again soon."""
        try:
            return {branch.job.flow_id for branch in await self._producer.add(await self._branches(flow_ids))}
        except Away:
            raise
        except Exception:
            if len(flow_ids) > 1:
                # One of them cannot be sent; the others must not suffer for it.
                return {sent for flow_id in flow_ids for sent in await self._send([flow_id])}
            self.log.exception("dispatcher.flow_refused", flow_id=flow_ids[0])
            return set(flow_ids)

    async def _due(self, now: int) -> dict[str, int]:
        """Flows to send, with how many jobs they have."""
        if now < self._next_look:
            rung = (self._rung.popleft() for _ in range(min(len(self._rung), FLOWS_A_ROUND)))
            return {flow_id: jobs for flow_id, jobs in rung if flow_id not in self._sent}
        self._forget_old(now)
        due = await self._database.look(backlog.to_dispatch, list(self._sent), FLOWS_A_ROUND)
        if len(due) < FLOWS_A_ROUND:
            self._next_look = now + milliseconds(LOOK_AGAIN_AFTER)
        return due

    def _forget_old(self, now: int) -> None:
        limit = now - milliseconds(SEND_AGAIN_AFTER)
        self._sent = {flow_id: sent for flow_id, sent in self._sent.items() if sent > limit}

    async def _branches(self, flow_ids: Sequence[str]) -> list[Branch]:
        """What is to be sent of these flows, the oldest first."""
        taken = [branch for flow_id in flow_ids if (branch := self._handover.take(flow_id)) is not None]
        left = set(flow_ids) - {branch.job.flow_id for branch in taken}
        read = await self._read(sorted(left)) if left else []
        return sorted((*taken, *read), key=lambda branch: branch.job.flow_id)

    async def _read(self, flow_ids: Sequence[str]) -> list[Branch]:
        jobs = await self._database.look(backlog.jobs_to_dispatch, flow_ids)
        branches = (unfinished(of_flow) for _, of_flow in groupby(jobs, key=lambda job: job.flow_id))
        return [branch for branch in branches if branch is not None]
