"""Setting rules: stored first, given to the engine at once where that is possible, and never at the caller's cost."""

import asyncio
from datetime import timedelta

import pytest

from bullflow.errors import EngineAway, EngineRefused, NotFound, StoreAway
from bullflow.flow.queues import QueueLimits, QueueRules
from bullflow.service import regulate
from bullflow.service.regulate import Regulate
from bullflow.store import queues, streams
from bullflow.store.database import Database
from bullflow.store.queues import SetQueue
from support.flows import caller

LIMITS = QueueLimits(concurrency=3)
OPERATOR = caller("operator")


async def know(database: Database, name: str) -> None:
    async with database.write() as transaction:
        await streams.know(transaction, [name])


async def stored(database: Database) -> list[SetQueue]:
    async with database.read() as snapshot:
        return await queues.all_set(snapshot)


async def test_what_is_set_is_stored_before_the_engine_gets_it(database: Database) -> None:
    await know(database, "video")
    seen: list[tuple[SetQueue, list[SetQueue]]] = []

    async def apply(queue: SetQueue) -> None:
        seen.append((queue, await stored(database)))

    use_case = Regulate(database, clock=lambda: 0, apply=apply)

    answers = [
        await use_case.pause(OPERATOR, "video"),
        await use_case.limit(OPERATOR, "video", LIMITS),
        await use_case.resume(OPERATOR, "video"),
    ]

    rules = [
        QueueRules(paused=True),
        QueueRules(paused=True, limits=LIMITS),
        QueueRules(paused=False, limits=LIMITS),
    ]
    assert [(answer.rules, answer.due) for answer in answers] == [(one, False) for one in rules]
    assert [(queue.rules, in_store) for queue, in_store in seen] == [
        (one, [SetQueue(name="video", rules=one, due=True)]) for one in rules
    ]


@pytest.mark.parametrize("error", [EngineAway("gone"), EngineRefused(ValueError("no")), StoreAway("gone")])
async def test_what_cannot_be_applied_now_is_accepted_and_due(database: Database, error: Exception) -> None:
    await know(database, "video")

    async def apply(_: SetQueue) -> None:
        raise error

    answer = await Regulate(database, clock=lambda: 0, apply=apply).pause(OPERATOR, "video")

    assert answer == SetQueue(name="video", rules=QueueRules(paused=True), due=True)
    assert await stored(database) == [answer]


async def test_an_engine_that_does_not_answer_keeps_nobody_waiting(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(regulate, "APPLY_WITHIN", timedelta(milliseconds=20))
    await know(database, "video")

    async def apply(_: SetQueue) -> None:
        await asyncio.Event().wait()

    assert (await Regulate(database, clock=lambda: 0, apply=apply).limit(OPERATOR, "video", LIMITS)).due


async def test_a_queue_that_is_not_known_is_not_found_and_nothing_is_applied(database: Database) -> None:
    async def apply(queue: SetQueue) -> None:
        raise AssertionError(f"applied {queue}")

    use_case = Regulate(database, clock=lambda: 0, apply=apply)

    for ask in (
        use_case.pause(OPERATOR, "video"),
        use_case.resume(OPERATOR, "video"),
        use_case.limit(OPERATOR, "video", LIMITS),
    ):
        with pytest.raises(NotFound):
            await ask
