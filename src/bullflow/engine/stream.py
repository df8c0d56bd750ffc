"""Reads what happened from the event streams of all queues, with one blocking command.

XREAD gives at most `count` entries of each stream. A stream that gave that many may hold more, so
another queue's news from after that moment would overtake it (a parent's end before its child's).
Each batch therefore ends at the earliest such moment, and the rest is read again with the next one.

BullMQ's `QueueEvents` for Python is not used: it stops at its first error and wants a connection a queue.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import orjson
from redis.asyncio import Redis

from bullflow.clock import milliseconds
from bullflow.engine.connection import asked, away, engine_error
from bullflow.engine.keys import OURS, bell_stream, grown_stream, job_of, queue_key
from bullflow.flow.facts import BEFORE_ALL, Fact, FactId, FactKind, Json, LogLine

LAST_INSTANT = 253_402_300_799_999
"""The end of the year 9999 in milliseconds."""

LINE = "log"
"""The event by which our worker tells a line of a job's log."""

NO_NUL = "\ufffd"
"""Stands for NUL in texts that are kept as they are: Postgres has no such texts."""

BUSY = 64
"""So many new entries of one stream in one read are reason to ask whether there were more."""

RawEntry = tuple[str, Mapping[str, str]]

_KINDS = {kind.value: kind for kind in FactKind}


GROWN = ":grown"
"""Stands for the stream in which workers tell of jobs that they have added; no queue can be called so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RawGrowth:
    """What a worker tells of jobs that it has added, unread."""

    at: int
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Facts about our jobs, and how far each queue's stream has been read."""

    facts: tuple[tuple[str, Fact], ...]
    """With the name of the queue that each was read from."""
    lines: tuple[LogLine, ...]
    growth: tuple[RawGrowth, ...]
    read: Mapping[str, FactId]
    new_queues: bool
    """The bell has rung: there may be queues that were not listened to."""
    whole: bool
    """Nothing that stood in the streams when they were read is missing."""
    busy: bool
    """It is so much that some may have been trimmed before it was read."""

    def growth_alone(self) -> "Batch":
        """Without all else, which is read again: what was added may run on queues that were not listened to."""
        return Batch(
            facts=(),
            lines=(),
            growth=self.growth,
            read={GROWN: self.read[GROWN]},
            new_queues=True,
            whole=False,
            busy=self.busy,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Faults:
    """Queues whose streams do not go on where they were left: older than that, or with entries trimmed behind it."""

    gone_back: frozenset[str]
    trimmed: Mapping[str, FactId]
    """With an entry that is later than what was trimmed; what was last read is among that, or is the last of it."""


class EventStreams:
    """The event streams of all queues under one prefix."""

    def __init__(self, client: Redis, prefix: str, *, count: int = 2_000) -> None:
        self._client = client
        self._prefix = prefix
        self._most = count
        self._count = count
        self._bell = bell_stream(prefix)
        self._bell_at: Any = "0-0"

    async def hear_bell_from_now(self) -> None:
        """Call it before learning which queues there are: a queue that is learned later rings later than this."""
        async with away():
            newest = await self._client.xrevrange(self._bell, count=1)
        self._bell_at = newest[0][0] if newest else "0-0"

    async def read(self, after: Mapping[str, FactId], block: timedelta) -> Batch:
        """The next entries behind these positions; waits up to `block` for the first one."""
        queues = {self._key(queue): queue for queue in after}
        streams: dict[Any, Any] = {key: str(after[queue]) for key, queue in queues.items()}
        streams[self._bell] = self._bell_at
        count = self._count
        # Results may be large. Should so many entries not come through, the next read asks for fewer.
        self._count = max(1, count // 2)
        async with away():
            answer = await asked(self._client.xread(streams, count=count, block=max(1, milliseconds(block))))
        self._count = min(self._most, count * 2)
        found: dict[Any, Any] = dict(answer.items() if isinstance(answer, dict) else answer or ())
        bell = _entries(found.pop(self._bell, None))
        if bell:
            self._bell_at = bell[-1][0]
        entries = {queues[key]: _entries(raw) for key, raw in found.items()}
        most = max(map(len, entries.values()), default=0)
        return _batch(until_horizon(entries, count), new_queues=bool(bell), whole=most < count, busy=most >= BUSY)

    async def ring(self) -> None:
        """Have a read that waits return at once; raises EngineAway."""
        async with away():
            await self._client.xadd(self._bell, {"audit": "1"}, maxlen=100)

    async def faults(self, positions: Mapping[str, FactId]) -> Faults:
        """What is wrong with these queues' streams, which have been read up to these positions; raises EngineAway."""
        queues = list(positions)
        async with away(), self._client.pipeline(transaction=False) as pipe:
            for queue in queues:
                pipe.xinfo_stream(self._key(queue))
            answers = await pipe.execute(raise_on_error=False)
        for answer in answers:
            if isinstance(answer, Exception) and "no such key" not in str(answer):
                raise engine_error(answer)
        known = {
            queue: None if isinstance(answer, Exception) else answer
            for queue, answer in zip(queues, answers, strict=True)
        }
        return Faults(
            gone_back=frozenset(queue for queue, info in known.items() if _newest(info) < positions[queue]),
            trimmed={
                queue: last for queue, info in known.items() if (last := _trimmed(info)) > positions[queue] > BEFORE_ALL
            },
        )

    async def forget_growth(self, recorded: FactId) -> None:
        """What was recorded need not lie in the engine, where it takes as much room as the jobs themselves."""
        async with away():
            await self._client.xtrim(grown_stream(self._prefix), minid=str(recorded), approximate=False)

    def _key(self, queue: str) -> str:
        return stream_key(self._prefix, queue)


def stream_key(prefix: str, queue: str) -> str:
    """The stream in which a queue's events stand, or that of growth."""
    return grown_stream(prefix) if queue == GROWN else queue_key(prefix, queue, "events")


def _newest(info: Mapping[str, Any] | None) -> FactId:
    return BEFORE_ALL if info is None else FactId.parse(info["last-generated-id"])


def _trimmed(info: Mapping[str, Any] | None) -> FactId:
    """A later entry than whatever is no longer there: the oldest there is, the newest there was where none is left.

    `max-deleted-entry-id` tells of entries that were deleted one by one, and not of trimming.
    """
    if info is None:
        return BEFORE_ALL
    return _newest(info) if info["first-entry"] is None else FactId.parse(info["first-entry"][0])


def until_horizon(
    entries: Mapping[str, Sequence[RawEntry]], count: int
) -> dict[str, Sequence[tuple[FactId, Mapping[str, str]]]]:
    """The entries of each stream up to the moment until which all streams are known."""
    known = {queue: [(FactId.parse(key), fields) for key, fields in raw] for queue, raw in entries.items()}
    full = [raw[-1][0] for raw in known.values() if len(raw) >= count]
    if not full:
        return dict(known)
    horizon = min(full).ms
    cut = {queue: [entry for entry in raw if entry[0].ms < horizon] for queue, raw in known.items()}
    if any(cut.values()):
        return {queue: raw for queue, raw in cut.items() if raw}
    # More than `count` entries in one millisecond: nothing can be held back, so go on with what there is.
    return {queue: [entry for entry in raw if entry[0].ms <= horizon] for queue, raw in known.items()}


def _batch(
    entries: Mapping[str, Sequence[tuple[FactId, Mapping[str, str]]]], *, new_queues: bool, whole: bool, busy: bool
) -> Batch:
    facts: list[tuple[str, Fact]] = []
    lines: list[LogLine] = []
    for queue, raw in entries.items():
        for key, fields in raw:
            event = fields.get("event", "")
            if not is_recorded(event, fields.get("jobId", "")):
                continue
            kind = _KINDS.get(event)
            if kind is None:
                lines.append(_line(key, fields))
            else:
                facts.append((queue, _fact(key, kind, fields)))
    return Batch(
        facts=tuple(facts),
        lines=tuple(lines),
        growth=tuple(RawGrowth(at=key.ms, text=fields.get("growth", "")) for key, fields in entries.get(GROWN, ())),
        read={queue: raw[-1][0] for queue, raw in entries.items() if raw},
        new_queues=new_queues,
        whole=whole,
        busy=busy,
    )


def is_recorded(event: str, job_id: str) -> bool:
    """Whether an event of a queue's stream is one of a job of ours that the record goes by."""
    return (event in _KINDS or event == LINE) and OURS.fullmatch(job_id) is not None


def _line(key: FactId, fields: Mapping[str, str]) -> LogLine:
    return LogLine(job_id=fields["jobId"], at=key.ms, line=fields.get("line", "").replace("\0", NO_NUL))


def _entries(raw: Any) -> list[RawEntry]:
    """redis-py wraps the entries of a stream once more under RESP3."""
    if not raw:
        return []
    return raw[0] if isinstance(raw[0], list) else list(raw)


def _fact(key: FactId, kind: FactKind, fields: Mapping[str, str]) -> Fact:
    reason = fields.get("failedReason")
    return Fact(
        id=key,
        kind=kind,
        job_id=fields["jobId"],
        result=json_of(fields.get("returnvalue")),
        reason=reason,
        child=None if reason is None else child_in(reason),
        progress=json_of(fields.get("data")),
        until=_instant(fields.get("delay")),
        after_attempt=fields.get("prev") == "active",
    )


def child_in(reason: str) -> str | None:
    """The BullMQ id in BullMQ's own reason for a parent's failure: `child bull:queue:id failed`."""
    if not (reason.startswith("child ") and reason.endswith(" failed")):
        return None
    job_id = job_of(reason.removeprefix("child ").removesuffix(" failed"))
    return job_id if OURS.fullmatch(job_id) else None


def json_of(text: str | None) -> Json | None:
    """What a worker has written, as JSON that is certain to be JSON: anything else becomes a string."""
    if text is None:
        return None
    try:
        orjson.loads(text)
    except orjson.JSONDecodeError:
        return _mended(text) if text else Json("null")
    return Json(text)


def _mended(text: str) -> Json:
    """JSON that only JavaScript writes: halves of UTF-16 pairs, for which no database has a character."""
    try:
        value = json.loads(text, parse_constant=_refused)
        whole = json.dumps(value, ensure_ascii=False).encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        orjson.loads(whole)
    except (ValueError, RecursionError):
        whole = orjson.dumps(text).decode()
    return Json(whole)


def _refused(constant: str) -> None:
    raise ValueError(constant)


def _instant(text: str | None) -> int | None:
    """An instant that a calendar knows; a worker may have asked for any number."""
    if not text or not text.replace(".", "", 1).isdigit():
        return None
    instant = float(text)
    return int(instant) if instant <= LAST_INSTANT else None
