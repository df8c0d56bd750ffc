"""Flows on their way from who accepts them to who dispatches them, where both are in one process.

What has just been written need not be read again. It is a short cut for a flow's first sending, and right
for the same reason as a read of the store at the moment of acceptance would be:

* whatever ends the flow meanwhile leaves a mark in the engine, which the producer watches, for an hour; a
  retry and a recovery begin a new run only after that, and a deletion comes after an end;
* a flow grows only when it runs, and one that has come into the engine by another way has its root there,
  for a minute at least, and is not added again.

So nothing is handed over later than `AT_MOST` after it was accepted, nor twice, nor after the engine was
away: then a cancellation may have left no mark. Everything else is read from the store.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta

from bullflow.clock import Clock, milliseconds
from bullflow.flow.plan import Branch, accepted
from bullflow.store.flows import NewFlow

AT_MOST = timedelta(seconds=2)
MOST_JOBS = 20_000
MOST_DATA = 32 * 2**20
"""So many characters of jobs' data are kept at a time."""


@dataclass(frozen=True, slots=True)
class _Given:
    flow: NewFlow
    at: int
    data: int

    @property
    def jobs(self) -> int:
        return len(self.flow.jobs)


class Handover:
    """Closed at first: then what is given is left to the store."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self._given: dict[str, _Given] = {}
        self._jobs = 0
        self._data = 0
        self._is_open = False

    def open(self) -> None:
        """Somebody takes what is given from now on."""
        self.forget()
        self._is_open = True

    def close(self) -> None:
        """Nobody takes anything any more."""
        self.forget()
        self._is_open = False

    def forget(self) -> None:
        """What was given so far is to be read from the store."""
        self._given.clear()
        self._jobs = self._data = 0

    def give(self, flows: Iterable[NewFlow]) -> None:
        """These flows were accepted just now."""
        if not self._is_open:
            return
        now = self.clock()
        self._forget_old(now)
        for flow in flows:
            given = _Given(flow, now, sum(len(job.node.data.text) for job in flow.jobs))
            if self._jobs + given.jobs <= MOST_JOBS and self._data + given.data <= MOST_DATA:
                self._given[flow.id] = given
                self._jobs += given.jobs
                self._data += given.data

    def take(self, flow_id: str) -> Branch | None:
        """The flow's tree, if it was given lately and not taken before."""
        given = self._remove(flow_id)
        if given is None or self._is_old(given, self.clock()):
            return None
        return accepted(flow_id, given.flow.jobs, given.flow.created_at)

    def _forget_old(self, now: int) -> None:
        """What nobody has come for: it was sent by another way."""
        while self._given:
            flow_id, oldest = next(iter(self._given.items()))
            if not self._is_old(oldest, now):
                return
            self._remove(flow_id)

    def _is_old(self, given: _Given, now: int) -> bool:
        return not 0 <= now - given.at <= milliseconds(AT_MOST)

    def _remove(self, flow_id: str) -> _Given | None:
        given = self._given.pop(flow_id, None)
        if given is not None:
            self._jobs -= given.jobs
            self._data -= given.data
        return given
