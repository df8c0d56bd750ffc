"""Which queues are known, and what was set for them: over SQLite and Postgres."""

import asyncio

import pytest

from bullflow.errors import NotFound
from bullflow.flow.queues import QueueLimits, QueueRules, RateLimit
from bullflow.store import queues, streams
from bullflow.store.database import Database
from bullflow.store.queues import SetQueue
from support.flows import Submitter, node

LIMITS = QueueLimits(concurrency=4, rate=RateLimit(max=100, duration=60_000))


async def know(database: Database, *names: str) -> None:
    async with database.write() as transaction:
        await streams.know(transaction, names)


async def known(database: Database, *, after: str | None = None, limit: int = 100) -> list[str]:
    async with database.read() as snapshot:
        return await queues.names(snapshot, None, after=after, limit=limit)


async def pause(database: Database, name: str, paused: bool = True) -> SetQueue:
    async with database.write() as transaction:
        return await queues.set_paused(transaction, name, paused)


async def limit(database: Database, name: str, limits: QueueLimits) -> SetQueue:
    async with database.write() as transaction:
        return await queues.set_limits(transaction, name, limits)


async def applied(database: Database, queue: SetQueue) -> SetQueue | None:
    async with database.write() as transaction:
        return await queues.applied(transaction, queue)


async def all_set(database: Database) -> list[SetQueue]:
    async with database.read() as snapshot:
        return await queues.all_set(snapshot)


def a_queue(name: str = "video", *, paused: bool = False, due: bool = True, **limits: object) -> SetQueue:
    return SetQueue(name=name, rules=QueueRules(paused=paused, limits=QueueLimits(**limits)), due=due)  # type: ignore[arg-type]


class TestKnowing:
    async def test_a_queue_is_known_once_a_flow_has_used_it(self, database: Database) -> None:
        await Submitter(database).one(node("root", node("child", queue="audio"), queue="video"))

        assert await known(database) == ["audio", "video"]
        async with database.read() as snapshot:
            await queues.must_know(snapshot, None, "audio")
            with pytest.raises(NotFound, match="There is no queue 'mail': a queue is known once a flow has used it"):
                await queues.must_know(snapshot, None, "mail")

    async def test_names_come_in_the_order_of_their_code_points_page_by_page(self, database: Database) -> None:
        names = ["Zebra", "a b", "a-b", "a/b", "ab", "A", "z", "ä", "😀", "a", "_", "%", "é", "e\u0301"]
        await know(database, *names)

        pages: list[str] = []
        while page := await known(database, after=pages[-1] if pages else None, limit=3):
            pages += page

        assert pages == sorted(names)

    async def test_internal_streams_are_no_queues(self, database: Database) -> None:
        await know(database, "video", ":internal")

        assert await known(database) == ["video"]
        assert await known(database, after=":") == ["video"]
        with pytest.raises(NotFound):
            await pause(database, ":internal")


class TestSetting:
    async def test_a_pause_is_due_and_leaves_the_limits(self, database: Database) -> None:
        await know(database, "video", "audio")
        await limit(database, "video", LIMITS)

        paused = await pause(database, "video")

        assert paused == SetQueue(name="video", rules=QueueRules(paused=True, limits=LIMITS), due=True)
        assert await all_set(database) == [paused]

    async def test_limits_are_due_and_leave_the_pause(self, database: Database) -> None:
        await know(database, "video")
        await pause(database, "video")

        assert (await limit(database, "video", LIMITS)).rules == QueueRules(paused=True, limits=LIMITS)
        assert (await limit(database, "video", QueueLimits())).rules == QueueRules(paused=True)
        assert (await pause(database, "video", False)) == a_queue()

    async def test_the_first_limits_do_not_pause(self, database: Database) -> None:
        await know(database, "video")

        assert await limit(database, "video", QueueLimits(concurrency=1)) == a_queue(concurrency=1)

    async def test_what_is_set_a_second_time_is_due_again(self, database: Database) -> None:
        await know(database, "video")
        await applied(database, await pause(database, "video"))

        assert (await pause(database, "video")).due

    async def test_for_a_queue_that_is_not_known_nothing_can_be_set(self, database: Database) -> None:
        with pytest.raises(NotFound):
            await pause(database, "nobody's")
        with pytest.raises(NotFound):
            await limit(database, "nobody's", LIMITS)

        assert await all_set(database) == []

    async def test_the_largest_numbers_are_kept(self, database: Database) -> None:
        await know(database, "video")
        largest = QueueLimits(concurrency=2**53 - 1, rate=RateLimit(max=2**53 - 1, duration=2**53 - 1))

        assert (await limit(database, "video", largest)).rules.limits == largest

    async def test_those_who_set_different_things_at_the_same_time_do_not_undo_each_other(
        self, database: Database
    ) -> None:
        await know(database, "video")

        await asyncio.gather(*(pause(database, "video") if n % 2 else limit(database, "video", LIMITS) for n in (1, 2)))

        assert await all_set(database) == [
            SetQueue(name="video", rules=QueueRules(paused=True, limits=LIMITS), due=True)
        ]


class TestApplying:
    async def test_what_was_applied_is_not_due_any_more(self, database: Database) -> None:
        await know(database, "audio", "video")
        await pause(database, "audio")
        queue = await pause(database, "video")

        assert await applied(database, queue) is None

        assert await all_set(database) == [a_queue("audio", paused=True), a_queue(paused=True, due=False)]

    async def test_limits_that_were_applied_are_not_due_any_more(self, database: Database) -> None:
        await know(database, "video")

        assert await applied(database, await limit(database, "video", LIMITS)) is None

        assert not (await all_set(database))[0].due

    @pytest.mark.parametrize(
        "since",
        [
            a_queue(paused=True, concurrency=4, rate=LIMITS.rate),
            a_queue(),
            a_queue(concurrency=5, rate=LIMITS.rate),
            a_queue(rate=LIMITS.rate),
            a_queue(concurrency=4),
            a_queue(concurrency=4, rate=RateLimit(max=99, duration=60_000)),
            a_queue(concurrency=4, rate=RateLimit(max=100, duration=59_999)),
        ],
        ids=lambda queue: str(queue.rules),
    )
    async def test_what_was_set_since_stays_due_and_is_what_is_to_be_applied(
        self, database: Database, since: SetQueue
    ) -> None:
        await know(database, "video")
        queue = await limit(database, "video", LIMITS)
        await limit(database, "video", since.rules.limits)
        await pause(database, "video", since.rules.paused)

        assert await applied(database, queue) == since
        assert await all_set(database) == [since]

    async def test_a_queue_for_which_nothing_is_set_leaves_nothing_to_apply(self, database: Database) -> None:
        assert await applied(database, a_queue("gone")) is None
