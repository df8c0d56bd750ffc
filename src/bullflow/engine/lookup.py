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
    wanting = _wanting(facts)
    if not wanting:
        return [fact for _, fact in facts]
    asked = {fact.job_id: queue for queue, fact in facts if fact in wanting}
    async with away(), client.pipeline(transaction=False) as pipe:
        for job_id, queue in asked.items():
            pipe.hmget(queue_key(prefix, queue, job_id), *_FIELDS)
        answers = await pipe.execute()
    known = {job_id: _failure(answer) for job_id, answer in zip(asked, answers, strict=True)}
    return [_completed(fact, known) if fact in wanting else fact for _, fact in facts]


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


def _completed(fact: Fact, known: Mapping[str, _Failure]) -> Fact:
    failure = known[fact.job_id]
    return replace(
        fact,
        reason=fact.reason if fact.reason is not None else failure.reason,
        stack=failure.stacks[-1] if failure.stacks else None,
        attempts_made=failure.attempts_made,
    )
