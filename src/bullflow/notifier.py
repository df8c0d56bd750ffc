"""Follows the log in the store and tells those who watch.

There is one tail in a process, however many watch. Who writes in this very process shows what was `written`, and
what follows on what was handed out is handed out as it is. Writers elsewhere ring with the flows that they have
written about; `run_once` reads what is new of those that somebody here follows, once. Each entry is serialised
once and goes to all listeners. Bells can be missed, so every few seconds the
last numbers of all followed flows are compared; when nobody watches, nothing is read. Those who follow all
flows have no such numbers: when some bells may have been missed, they get every flow that has changed since the
last one that was heard.

A listener that joins is told from which `seq` on it will hear; what lies before, it reads from the log itself. Joining
and handing out happen in one thread of control, so nothing falls between.
"""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, Protocol

import orjson
from structlog.typing import FilteringBoundLogger

from bullflow.clock import Clock, iso, milliseconds
from bullflow.flow.record import Entry
from bullflow.loop import Wake
from bullflow.store import log as flow_log
from bullflow.store import views
from bullflow.store.database import Database
from bullflow.store.log import LogItem
from bullflow.store.views import FlowView

LOOK_EVERY = timedelta(seconds=2)
ENTRIES_A_READ = 1_000
SUMMARIES_A_READ = 500
MOST_MISSED = 10_000
SLACK = timedelta(seconds=60)
"""A flow's last change is as old as what has happened in the engine, of which the record may be a while behind."""
PROGRESS_PAUSE = timedelta(milliseconds=100)


class Listener(Protocol):
    """Somebody who watches. These must return at once; a listener that cannot keep up ends itself."""

    def entry(self, item: LogItem, text: bytes) -> None: ...

    def progress(self, flow_id: str, message: bytes) -> None: ...

    def summary(self, flow: FlowView, text: bytes) -> None: ...


class _Channel:
    """A followed flow: the number of the last entry that was handed out, None until it is known."""

    def __init__(self) -> None:
        self.seq: int | None = None
        self.heard_of = 0
        """The number of the last entry of which a bell has told before `seq` was known."""
        self.listeners: set[Listener] = set()

    def lacks(self, seq: int) -> bool:
        """Whether this entry is still to be handed out."""
        if self.seq is None:
            self.heard_of = max(self.heard_of, seq)
            return False
        return seq > self.seq


class _Thinned:
    """Lets through one message a job in each pause, and always the last one."""

    def __init__(self, hand_out: Callable[[str, bytes], None]) -> None:
        self._hand_out = hand_out
        self._held: dict[str, tuple[str, bytes] | None] = {}

    def offer(self, flow_id: str, job_id: str, message: bytes) -> None:
        if job_id in self._held:
            self._held[job_id] = (flow_id, message)
        else:
            self._pass(flow_id, job_id, message)

    def _pass(self, flow_id: str, job_id: str, message: bytes) -> None:
        self._held[job_id] = None
        self._hand_out(flow_id, message)
        asyncio.get_running_loop().call_later(PROGRESS_PAUSE.total_seconds(), self._due, job_id)

    def _due(self, job_id: str) -> None:
        held = self._held.pop(job_id)
        if held is not None:
            flow_id, message = held
            self._pass(flow_id, job_id, message)


class Notifier:
    """The tail, and who listens. `summarise` gives a flow as those see it who follow all."""

    def __init__(
        self,
        database: Database,
        *,
        clock: Clock,
        log: FilteringBoundLogger,
        summarise: Callable[[FlowView], bytes],
    ) -> None:
        self._database = database
        self._summarise = summarise
        self._clock = clock
        self._log = log
        self._channels: dict[str, _Channel] = {}
        self._everything: defaultdict[str, set[Listener]] = defaultdict(set)
        self._changed: set[str] = set()
        self._look_at_all = False
        self._heard_at = clock()
        self._missed_since: int | None = None
        self._thinned = _Thinned(self._hand_out_progress)
        self.wake = Wake()

    async def follow(self, user_id: str, flow_id: str, listener: Listener) -> FlowView:
        """Hand entries of this user's flow to `listener`: all that come after the flow's `last_seq`, as returned here.

        Raises NotFound.
        """
        # Joined before it is looked at, so that what is written after the look is heard.
        channel = self._channels.setdefault(flow_id, _Channel())
        channel.listeners.add(listener)
        was_handed_out = channel.seq is not None
        try:
            flow = await self._look(user_id, flow_id)
            while not was_handed_out and channel.seq is not None and channel.seq > flow.last_seq:
                # Others have begun meanwhile, behind what this look has seen: what lies between nobody was handed.
                flow = await self._look(user_id, flow_id)
        except BaseException:
            self.unfollow(flow_id, listener)
            raise
        if channel.seq is None:
            channel.seq = flow.last_seq
            # Something may have been written and rung between the look and now.
            self._heard_of(flow_id, channel.heard_of)
        return flow

    async def _look(self, user_id: str, flow_id: str) -> FlowView:
        return await self._database.look(views.flow, user_id, flow_id)

    def unfollow(self, flow_id: str, listener: Listener) -> None:
        channel = self._channels.get(flow_id)
        if channel is not None:
            channel.listeners.discard(listener)
            if not channel.listeners:
                del self._channels[flow_id]

    def follow_all(self, user_id: str, listener: Listener) -> None:
        """Hand a summary to `listener` whenever a flow of this user changes."""
        self._everything[user_id].add(listener)

    def unfollow_all(self, user_id: str, listener: Listener) -> None:
        self._everything[user_id].discard(listener)
        if not self._everything[user_id]:
            del self._everything[user_id]

    def hear(self, news: Mapping[str, Sequence[Sequence[Any]]] | None) -> None:
        """News from the bell; None says that some may have been missed."""
        if news is None:
            self._look_at_all = True
            self._missed_since = self._missed_since or self._heard_at
            self.wake.ring()
            return
        self._heard_at = self._clock()
        for flow_id, last_seq in news.get("flows", ()):
            self._heard_of(flow_id, last_seq)
        for flow_id, job_id, progress in news.get("progress", ()):
            self._progress(flow_id, job_id, progress)
        for flow_id, *line in news.get("lines", ()):
            if flow_id in self._channels:
                self._hand_out_progress(flow_id, orjson.dumps({"type": "log", "flowId": flow_id, **line_shape(*line)}))

    def written(self, entries: Iterable[Entry]) -> None:
        """These were written in this process just now, each flow's in their order, and are not read again."""
        for entry in entries:
            channel = self._channels.get(entry.flow_id)
            if channel is not None and channel.seq == entry.seq - 1:
                self._hand_out(flow_log.item_of(entry))

    def _heard_of(self, flow_id: str, last_seq: int) -> None:
        channel = self._channels.get(flow_id)
        if self._everything or (channel is not None and channel.lacks(last_seq)):
            self._changed.add(flow_id)
            self.wake.ring()

    def _progress(self, flow_id: str, job_id: str, progress: str) -> None:
        if flow_id in self._channels:
            message = {"type": "progress", "flowId": flow_id, "id": job_id, "progress": orjson.Fragment(progress)}
            self._thinned.offer(flow_id, job_id, orjson.dumps(message))

    def _hand_out_progress(self, flow_id: str, message: bytes) -> None:
        channel = self._channels.get(flow_id)
        for listener in tuple(channel.listeners) if channel else ():
            with self._alone(flow_id, listener):
                listener.progress(flow_id, message)

    async def run_once(self) -> int:
        """Hand out all that is new. Returns 0: what comes meanwhile rings, and nothing else is left to do at once."""
        changed, self._changed = self._changed, set()
        missed_since, self._missed_since = self._missed_since, None
        try:
            if self._look_at_all or not changed:
                changed |= await self._behind()
                self._look_at_all = False
            if missed_since is not None:
                changed |= await self._missed_by_all(missed_since)
            await self._hand_out_entries(changed)
            await self._hand_out_summaries(changed)
        except BaseException:
            self._changed |= changed
            self._missed_since = missed_since or self._missed_since
            raise
        return 0

    async def _behind(self) -> set[str]:
        """Followed flows whose log is longer than what was handed out."""
        known = {flow_id: channel.seq for flow_id, channel in self._channels.items() if channel.seq is not None}
        if not known:
            return set()
        last = await self._database.look(flow_log.last_seqs, list(known))
        return {flow_id for flow_id, seq in last.items() if seq > known[flow_id]}

    async def _missed_by_all(self, since: int) -> set[str]:
        """What has changed since then of flows of those who follow all of theirs."""
        found: set[str] = set()
        for user_id in tuple(self._everything):
            async with self._database.read() as snapshot:
                found.update(await views.changed_since(snapshot, user_id, since - milliseconds(SLACK), MOST_MISSED))
        return found

    async def _hand_out_entries(self, changed: set[str]) -> None:
        while since := self._known_seqs(changed):
            items = await self._database.look(flow_log.after_each, since, ENTRIES_A_READ)
            for item in items:
                self._hand_out(item)
            if len(items) < ENTRIES_A_READ:
                break

    def _known_seqs(self, flow_ids: Iterable[str]) -> dict[str, int]:
        channels = ((flow_id, self._channels.get(flow_id)) for flow_id in flow_ids)
        return {flow_id: channel.seq for flow_id, channel in channels if channel and channel.seq is not None}

    def _hand_out(self, item: LogItem) -> None:
        channel = self._channels.get(item.flow_id)
        if channel is None or channel.seq is None or item.seq <= channel.seq:
            return
        channel.seq = item.seq
        text = item_json(item)
        for listener in tuple(channel.listeners):
            with self._alone(item.flow_id, listener):
                listener.entry(item, text)

    async def _hand_out_summaries(self, changed: set[str]) -> None:
        wanted = sorted(changed)
        for user_id, listeners in tuple(self._everything.items()):
            for start in range(0, len(wanted), SUMMARIES_A_READ):
                found = await self._database.look(views.flows_by_id, user_id, wanted[start : start + SUMMARIES_A_READ])
                for flow in found:
                    text = self._summarise(flow)
                    for listener in tuple(listeners):
                        with self._alone(flow.id, listener):
                            listener.summary(flow, text)

    @contextmanager
    def _alone(self, flow_id: str, listener: Listener) -> Iterator[None]:
        """What one listener cannot take is no harm to the others; it hears no more of this flow."""
        try:
            yield
        except Exception as error:
            self._log.error("notifier.listener_failed", flow_id=flow_id, exc_info=error)
            self.unfollow(flow_id, listener)


def item_json(item: LogItem) -> bytes:
    """An entry of the log as REST, WebSocket and SSE show it."""
    return orjson.dumps(
        {
            "flowId": item.flow_id,
            "seq": item.seq,
            "at": iso(item.at),
            "event": item.event,
            "id": item.id,
            "jobId": item.job_id,
            "data": orjson.Fragment(item.data),
        }
    )


def line_shape(job_id: str, n: int, run: int, at: int, line: str) -> dict[str, Any]:
    """A line of a job's log as REST and WebSocket show it."""
    return {"id": job_id, "n": n, "run": run, "at": iso(at), "line": line}
