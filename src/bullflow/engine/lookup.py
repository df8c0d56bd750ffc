"""Asks the engine about single jobs: what an event does not say.

A failed attempt's event has no stack, and one that is to be tried again has not even a message.
BullMQ keeps both in the job's hash; one pipeline fetches them for a whole batch of facts.
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


async def with_reasons(client: Redis, prefix: str, facts: Sequence[tuple[str, Fact]]) -> list[Fact]:
    """The facts, those about failed attempts with what the engine knows of them."""
    added = {fact.job_id for _, fact in facts if fact.kind is FactKind.ADDED}
    asked = {fact.job_id: queue for queue, fact in facts if _wants_reason(fact, added)}
    if not asked:
        return [fact for _, fact in facts]
    async with away(), client.pipeline(transaction=False) as pipe:
        for job_id, queue in asked.items():
            pipe.hmget(queue_key(prefix, queue, job_id), *_FIELDS)
        answers = await pipe.execute()
    known = {job_id: _failure(answer) for job_id, answer in zip(asked, answers, strict=True)}
    return [_completed(fact, known) if _wants_reason(fact, added) else fact for _, fact in facts]


@dataclass(frozen=True, slots=True)
class _Failure:
    reason: str | None
    stacks: Sequence[str]
    attempts_made: int | None


def _wants_reason(fact: Fact, added: set[str]) -> bool:
    """Failed, or back in a queue after an attempt. `delayed` does not say where from; a job just added is fresh."""
    match fact.kind:
        case FactKind.FAILED:
            return True
        case FactKind.WAITING:
            return fact.after_attempt
        case FactKind.DELAYED:
            return fact.job_id not in added
        case _:
            return False


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


def _completed(fact: Fact, known: Mapping[str, _Failure]) -> Fact:
    failure = known[fact.job_id]
    return replace(
        fact,
        reason=fact.reason if fact.reason is not None else failure.reason,
        stack=failure.stacks[-1] if failure.stacks else None,
        attempts_made=failure.attempts_made,
    )
