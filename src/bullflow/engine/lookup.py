"""Asks the engine about single jobs: what an event does not say.

A failed attempt's event has no stack, one that is to be tried again has not even a message, and none
says which worker took a job. BullMQ keeps all of it in the job's hash; one pipeline fetches it for a
whole batch of facts.
"""

from collections.abc import Container, Mapping, Sequence
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
    open_questions = _questions(facts)
    if not open_questions:
        return Details(facts=tuple(fact for _, fact in facts), lines=())
    async with away():
        known = await _failures(client, prefix, open_questions.failed) if open_questions.failed else {}
        taken, lines = await _workers_and_lines(client, prefix, open_questions)
    return Details(
        facts=tuple(_detailed(fact, known, taken, open_questions.wanting) for _, fact in facts),
        lines=tuple(
            LogLine(job_id=job_id, at=at, line=line.replace("\0", NO_NUL))
            for (job_id, (_, at)), of_job in zip(open_questions.ended.items(), lines, strict=True)
            for line in of_job
        ),
    )


class _Questions:
    """What is to be asked about the facts of a batch: jobs by their BullMQ ids, each with its queue."""

    def __init__(self) -> None:
        self.begun: dict[str, str] = {}
        self.ended: dict[str, tuple[str, int]] = {}
        """With the instant."""
        self.failed: dict[str, str] = {}
        self.wanting: set[Fact] = set()
        """The facts about a failure, or a way back into a queue after an attempt."""

    def __bool__(self) -> bool:
        return bool(self.begun or self.ended or self.failed)


def _questions(facts: Sequence[tuple[str, Fact]]) -> _Questions:
    """`delayed` does not say where from: a job that was added in this batch and has not been active since is fresh."""
    found = _Questions()
    fresh: set[str] = set()
    for queue, fact in facts:
        match fact.kind:
            case FactKind.ADDED:
                fresh.add(fact.job_id)
                continue
            case FactKind.ACTIVE:
                fresh.discard(fact.job_id)
                found.begun[fact.job_id] = queue
                continue
            case FactKind.COMPLETED:
                found.ended[fact.job_id] = (queue, fact.at)
                continue
            case FactKind.FAILED:
                found.ended[fact.job_id] = (queue, fact.at)
            case FactKind.WAITING if fact.after_attempt:
                pass
            case FactKind.DELAYED if fact.job_id not in fresh:
                pass
            case _:
                continue
        found.wanting.add(fact)
        found.failed[fact.job_id] = queue
    return found


async def _failures(client: Redis, prefix: str, failed: Mapping[str, str]) -> dict[str, "_Failure"]:
    async with client.pipeline(transaction=False) as pipe:
        for job_id, queue in failed.items():
            pipe.hmget(queue_key(prefix, queue, job_id), *_FIELDS)
            pipe.hexists(queue_key(prefix, queue, job_id), "returnvalue")
        answers = await pipe.execute()
    each = zip(failed, answers[::2], answers[1::2], strict=True)
    return {job_id: _failure(fields, has_completed=bool(completed)) for job_id, fields, completed in each}


async def _workers_and_lines(
    client: Redis, prefix: str, asked: _Questions
) -> tuple[dict[str, str], Sequence[Sequence[str]]]:
    """Who took the jobs that began, and the lines of those that ended, in their order."""
    keys = [queue_key(prefix, queue, job_id) for job_id, queue in asked.begun.items()]
    keys += [queue_key(prefix, queue, job_id) for job_id, (queue, _) in asked.ended.items()]
    if not keys:
        return {}, ()
    begun = len(asked.begun)
    workers, lines = await client.eval(_WORKERS_AND_LINES, len(keys), *keys, begun, TELLS_LINES, LINES_OF_A_JOB)
    return dict(zip(asked.begun, workers, strict=True)), lines


# One command for all of them: most jobs begin and end without failing, and each command costs more than its answer.
_WORKERS_AND_LINES = """
local workers, lines = {}, {}
local begun = tonumber(ARGV[1])
for place, key in ipairs(KEYS) do
  if place <= begun then
    workers[place] = redis.call("HGET", key, "pb") or ""
  elseif redis.call("EXISTS", key .. ":logs") == 1 and redis.call("HEXISTS", key, ARGV[2]) == 0 then
    lines[place - begun] = redis.call("LRANGE", key .. ":logs", -tonumber(ARGV[3]), -1)
  else
    lines[place - begun] = {}
  end
end
return {workers, lines}
"""


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


def _detailed(fact: Fact, known: Mapping[str, _Failure], taken: Mapping[str, str], wanting: Container[Fact]) -> Fact:
    if fact.kind is FactKind.ACTIVE:
        return fact._replace(worker=taken[fact.job_id].replace("\0", NO_NUL)[:LONGEST_WORKER] or None)
    if not known or fact not in wanting:
        return fact
    failure = known[fact.job_id]
    return fact._replace(
        reason=fact.reason if fact.reason is not None else failure.reason,
        stack=failure.stacks[-1] if failure.stacks else None,
        failures=tuple((message_of(stack), stack) for stack in failure.stacks),
        attempts_made=failure.attempts_made,
    )
