"""Asks the engine about single jobs: what an event does not say.

A failed attempt's event has no stack, one that is to be tried again has not even a message, and none
says which worker took a job. BullMQ keeps all of it in the job's hash; one pipeline fetches it for a
whole batch of facts.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import orjson
from redis.asyncio import Redis

from bullflow.engine.connection import away
from bullflow.engine.keys import queue_key
from bullflow.flow.facts import Fact, FactKind

_FIELDS = ("failedReason", "stacktrace", "atm")
LONGEST_WORKER = 200


async def with_details(client: Redis, prefix: str, facts: Sequence[tuple[str, Fact]]) -> list[Fact]:
    """The facts; those about failed attempts with their reasons, those about jobs that began with their workers."""
    wanting = _wanting(facts)
    begun = {fact.job_id: queue for queue, fact in facts if fact.kind is FactKind.ACTIVE}
    if not wanting and not begun:
        return [fact for _, fact in facts]
    asked = {fact.job_id: queue for queue, fact in facts if fact in wanting}
    async with away(), client.pipeline(transaction=False) as pipe:
        for job_id, queue in asked.items():
            pipe.hmget(queue_key(prefix, queue, job_id), *_FIELDS)
        keys = [queue_key(prefix, queue, job_id) for job_id, queue in begun.items()]
        pipe.eval(_WORKERS, len(keys), *keys)
        *answers, workers = await pipe.execute()
    known = {job_id: _failure(answer) for job_id, answer in zip(asked, answers, strict=True)}
    taken = dict(zip(begun, workers, strict=True))
    return [_detailed(fact, known if fact in wanting else {}, taken) for _, fact in facts]


# One command for all of them: most jobs begin without failing, and each command costs more than its answer.
_WORKERS = """
local workers = {}
for place, key in ipairs(KEYS) do
  workers[place] = redis.call("HGET", key, "pb") or ""
end
return workers
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


def _failure(answer: Sequence[Any]) -> _Failure:
    reason, stacks, attempts_made = answer
    try:
        parsed = orjson.loads(stacks) if stacks else []
    except orjson.JSONDecodeError:
        parsed = []
    return _Failure(
        reason,
        [str(stack) for stack in parsed] if isinstance(parsed, list) else [],
        int(attempts_made) if attempts_made and attempts_made.isdigit() else None,
    )


def _detailed(fact: Fact, known: Mapping[str, _Failure], taken: Mapping[str, str]) -> Fact:
    if fact.kind is FactKind.ACTIVE:
        return replace(fact, worker=taken[fact.job_id][:LONGEST_WORKER] or None)
    failure = known.get(fact.job_id)
    if failure is None:
        return fact
    return replace(
        fact,
        reason=fact.reason if fact.reason is not None else failure.reason,
        stack=failure.stacks[-1] if failure.stacks else None,
        attempts_made=failure.attempts_made,
    )
