"""Asks the engine about single jobs: what an event does not say.

A failed attempt's event has no stack, one that is to be tried again has not even a message, and none
says which worker took a job. BullMQ keeps all of it in the job's hash; one pipeline fetches it for a
whole batch of facts.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from redis.asyncio import Redis

from bullflow.engine.connection import away
from bullflow.engine.keys import TELLS_LINES, queue_key
from bullflow.engine.reasons import message_of
from bullflow.engine.stream import NO_NUL
from bullflow.flow.facts import Fact, FactKind, LogLine

_FIELDS = ("failedReason", "stacktrace", "atm")
LONGEST_WORKER = 200
LINES_OF_A_JOB = 1_000
"""How many log lines of a job are fetched when it has ended; the last ones."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Details:
    """Facts with what their events did not say, and log lines of jobs that have ended which no event has told."""

    facts: tuple[Fact, ...]
    lines: tuple[LogLine, ...]


async def with_details(client: Redis, prefix: str, facts: Sequence[tuple[str, Fact]]) -> Details:
    """Failed attempts with their reasons, jobs that began with their workers, jobs that ended with their lines."""
    wanting = _wanting(facts)
    asked = {fact.job_id: queue for queue, fact in facts if fact in wanting}
    begun = {fact.job_id: queue for queue, fact in facts if fact.kind is FactKind.ACTIVE}
    ended = {fact.job_id: (queue, fact.at) for queue, fact in facts if fact.kind in _ENDS}
    if not asked and not begun and not ended:
        return Details(facts=tuple(fact for _, fact in facts), lines=())
    async with away(), client.pipeline(transaction=False) as pipe:
        for job_id, queue in asked.items():
            pipe.hmget(queue_key(prefix, queue, job_id), *_FIELDS)
            pipe.hexists(queue_key(prefix, queue, job_id), "returnvalue")
        pipe.eval(_WORKERS, len(begun), *(queue_key(prefix, queue, job_id) for job_id, queue in begun.items()))
        keys = [queue_key(prefix, queue, job_id) for job_id, (queue, _) in ended.items()]
        pipe.eval(_LINES, len(keys), *keys, TELLS_LINES, LINES_OF_A_JOB)
        *answers, workers, lines = await pipe.execute()
    each = zip(asked, answers[::2], answers[1::2], strict=True)
    known = {job_id: _failure(fields, has_completed=bool(completed)) for job_id, fields, completed in each}
    taken = dict(zip(begun, workers, strict=True))
    return Details(
        facts=tuple(_detailed(fact, known if fact in wanting else {}, taken) for _, fact in facts),
        lines=tuple(
            LogLine(job_id=job_id, at=at, line=line.replace("\0", NO_NUL))
            for (job_id, (_, at)), of_job in zip(ended.items(), lines, strict=True)
            for line in of_job
        ),
    )


_ENDS = frozenset({FactKind.COMPLETED, FactKind.FAILED})
# One command for all of them: most jobs begin without failing, and each command costs more than its answer.
_WORKERS = """
local workers = {}
for place, key in ipairs(KEYS) do
  workers[place] = redis.call("HGET", key, "pb") or ""
end
return workers
"""
_LINES = """
local lines = {}
for place, key in ipairs(KEYS) do
  lines[place] = {}
  if redis.call("EXISTS", key .. ":logs") == 1 and redis.call("HEXISTS", key, ARGV[1]) == 0 then
    lines[place] = redis.call("LRANGE", key .. ":logs", -tonumber(ARGV[2]), -1)
  end
end
return lines
"""


def _wanting(facts: Sequence[tuple[str, Fact]]) -> set[Fact]:
    """Those about a failure, or a way back into a queue after an attempt.

    `delayed` does not say where from: a job that was added in this batch and has not been active since is fresh.
    """
    fresh: set[str] = set()
    wanting: set[Fact] = set()
    for _, fact in facts:
        match fact.kind:
            case FactKind.ADDED:
                fresh.add(fact.job_id)
            case FactKind.ACTIVE:
                fresh.discard(fact.job_id)
            case FactKind.FAILED:
                wanting.add(fact)
            case FactKind.WAITING if fact.after_attempt:
                wanting.add(fact)
            case FactKind.DELAYED if fact.job_id not in fresh:
                wanting.add(fact)
    return wanting


@dataclass(frozen=True, slots=True)
class _Failure:
    reason: str | None
    stacks: Sequence[str]
    attempts_made: int | None


def _failure(fields: Sequence[Any], *, has_completed: bool) -> _Failure:
    """What is known of the attempts that have failed; the one that completed the job counts as made as well."""
    reason, stacks, made = fields
    try:
        parsed = orjson.loads(stacks) if stacks else []
    except orjson.JSONDecodeError:
        parsed = []
    return _Failure(
        reason,
        [str(stack) for stack in parsed] if isinstance(parsed, list) else [],
        int(made) - has_completed if made and made.isdigit() else None,
    )


def _detailed(fact: Fact, known: Mapping[str, _Failure], taken: Mapping[str, str]) -> Fact:
    if fact.kind is FactKind.ACTIVE:
        return fact._replace(worker=taken[fact.job_id].replace("\0", NO_NUL)[:LONGEST_WORKER] or None)
    failure = known.get(fact.job_id)
    if failure is None:
        return fact
    return fact._replace(
        reason=fact.reason if fact.reason is not None else failure.reason,
        stack=failure.stacks[-1] if failure.stacks else None,
        failures=tuple((message_of(stack), stack) for stack in failure.stacks),
        attempts_made=failure.attempts_made,
    )
