"""The times of a queue's newest jobs, and the bounds within which they are read."""

import pytest

from bullflow.flow.facts import FactKind
from bullflow.flow.tree import Node
from bullflow.store import timings
from bullflow.store.database import Database
from bullflow.store.flows import NewFlow
from support.flows import START, HandClock, Submitter, node, record
from support.ledger import a_fact


def work(*children: Node) -> Node:
    return node("work", *children, queue="video")


async def several(database: Database, *trees: Node) -> list[NewFlow]:
    """These flows, a second apart, the oldest first."""
    clock = HandClock()
    submitter = Submitter(database, clock)
    new = []
    for second, tree in enumerate(trees):
        clock.now = START + 1_000 * second
        new.append(await submitter.one(tree))
    return new


async def read(database: Database, user_id: str, queue: str = "video") -> list[str]:
    async with database.read() as snapshot:
        return [job.id for job in await timings.newest_jobs(snapshot, user_id, queue)]


async def test_the_jobs_of_one_queue_are_read_with_their_times_the_newest_first(database: Database) -> None:
    old, new = await several(database, node("root", work(), work()), work(node("elsewhere", queue="audio")))
    done, begun, *_ = old.jobs[1:]
    life = [
        a_fact(FactKind.ACTIVE, START + 10, done.job_id),
        a_fact(FactKind.COMPLETED, START + 30, done.job_id),
        a_fact(FactKind.ACTIVE, START + 20, begun.job_id),
    ]
    await record(database, life)

    async with database.read() as snapshot:
        jobs = await timings.newest_jobs(snapshot, old.user_id, "video")

    assert [job.id for job in jobs] == [new.jobs[0].id, begun.id, done.id]
    assert [(job.flow_id, job.name, job.status) for job in jobs] == [
        (new.id, "work", "waiting-children"),
        (old.id, "work", "active"),
        (old.id, "work", "completed"),
    ]
    assert [(job.created_at, job.waiting, job.running) for job in jobs] == [
        (START + 1_000, None, None),
        (START, 20, None),
        (START, 10, 20),
    ]


async def test_other_users_jobs_and_other_queues_are_not_read(database: Database) -> None:
    submitter = Submitter(database)
    mine, theirs = await submitter.one(work(), user="me"), await submitter.one(work(), user="them")

    assert await read(database, mine.user_id) == [mine.jobs[0].id]
    assert await read(database, theirs.user_id) == [theirs.jobs[0].id]
    assert await read(database, mine.user_id, "nobody") == []


async def test_so_many_flows_are_looked_at_whether_they_use_the_queue_or_not(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(timings, "MOST_FLOWS", 3)
    new = await several(database, work(), work(), node("other"), work())

    assert await read(database, new[0].user_id) == [new[3].jobs[0].id, new[1].jobs[0].id]


async def test_so_many_jobs_are_read(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timings, "MOST_JOBS", 3)
    old, new = await several(database, work(work(), work()), work(work()))

    assert await read(database, old.user_id) == [new.jobs[1].id, new.jobs[0].id, old.jobs[2].id]


async def test_flows_are_read_until_so_many_jobs_of_whatever_queue_have_been(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(timings, "MOST_READ", 3)
    large = work(*(node("other") for _ in range(5)))
    _, middle, new = await several(database, work(), large, work(node("other")))

    assert await read(database, new.user_id) == [new.jobs[0].id, middle.jobs[0].id]
