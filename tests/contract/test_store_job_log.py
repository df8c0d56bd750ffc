"""The lines of jobs' logs: numbered over all runs, the last so many kept, and nobody else's touched."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from bullflow.flow.facts import LogLine
from bullflow.flow.record import JobState
from bullflow.store import job_log, states
from bullflow.store.database import Database
from bullflow.store.flows import NewFlow
from bullflow.store.job_log import LONGEST_LINE, KeptLine
from bullflow.store.tables import JobLogLine
from support.flows import START, Submitter, how_many, node

MOST = 5


async def say(database: Database, flow: NewFlow, *lines: tuple[int, str], most: int = MOST) -> list[KeptLine]:
    """Keep lines of a flow's jobs, which are named by their places in the tree."""
    async with database.write() as transaction:
        jobs: Mapping[str, JobState] = {job.job_id: job for job in await states.open_jobs(transaction, flow.id)}
        said = [
            LogLine(job_id=flow.jobs[place].job_id, at=START + n, line=line) for n, (place, line) in enumerate(lines)
        ]
        return await job_log.append(transaction, jobs, said, most)


async def kept(
    database: Database, flow: NewFlow, place: int = 0, *, after: int = 0, limit: int = 100
) -> list[KeptLine]:
    async with database.read() as snapshot:
        return await job_log.after(snapshot, flow.jobs[place].id, after, limit)


async def test_lines_are_numbered_within_their_job_and_told_with_their_flow(database: Database) -> None:
    flow = await Submitter(database).one(node("root", node("child")))

    told = await say(database, flow, (0, "a"), (1, "x"), (0, "b"))
    more = await say(database, flow, (1, "y"))

    root, child = flow.jobs
    assert [(line.flow_id, line.id, line.n, line.run, line.at, line.line) for line in [*told, *more]] == [
        (flow.id, root.id, 1, 1, START, "a"),
        (flow.id, child.id, 1, 1, START + 1, "x"),
        (flow.id, root.id, 2, 1, START + 2, "b"),
        (flow.id, child.id, 2, 1, START, "y"),
    ]
    assert [(line.n, line.line) for line in await kept(database, flow, 1)] == [(1, "x"), (2, "y")]


@pytest.mark.parametrize(
    ("wanted", "expected"), [(None, 5), (3, 3), (1, 1), (5, 5), (500, 5), (0, 5)], ids=lambda number: str(number)
)
async def test_the_last_lines_are_kept_as_many_as_the_job_wants_and_the_service_allows(
    database: Database, wanted: int | None, expected: int
) -> None:
    opts: dict[str, Any] = {} if wanted is None else {"keepLogs": wanted}
    flow = await Submitter(database).one(node(**opts))

    for number in range(1, 9):
        await say(database, flow, (0, f"line {number}"))

    found = await kept(database, flow)
    assert [(line.n, line.line) for line in found] == [(n, f"line {n}") for n in range(9 - expected, 9)]


async def test_of_more_lines_at_once_than_are_kept_only_the_last_are_written_and_told(database: Database) -> None:
    flow = await Submitter(database).one(node())
    await say(database, flow, (0, "old"), (0, "old"))

    told = await say(database, flow, *((0, str(number)) for number in range(20)))

    assert [line.n for line in told] == [18, 19, 20, 21, 22]
    assert [(line.n, line.line) for line in await kept(database, flow)] == [
        (18, "15"), (19, "16"), (20, "17"), (21, "18"), (22, "19"),
    ]  # fmt: skip


async def test_a_job_that_says_much_takes_no_lines_from_another(database: Database) -> None:
    submitter = Submitter(database)
    flow, other = await submitter.one(node("root", node("child"))), await submitter.one(node())
    await say(database, flow, (1, "kept"))
    await say(database, other, (0, "kept"))

    await say(database, flow, *((0, str(number)) for number in range(20)))

    assert [line.line for line in await kept(database, flow, 1)] == ["kept"]
    assert [line.line for line in await kept(database, other)] == ["kept"]
    assert await how_many(database, JobLogLine) == 7


async def test_a_smaller_limit_takes_hold_with_the_next_line(database: Database) -> None:
    flow = await Submitter(database).one(node())
    await say(database, flow, *((0, str(number)) for number in range(5)))

    await say(database, flow, (0, "last"), most=2)

    assert [line.line for line in await kept(database, flow)] == ["4", "last"]


async def test_a_line_that_is_too_long_is_cut(database: Database) -> None:
    flow = await Submitter(database).one(node())

    (told,) = await say(database, flow, (0, "ü" * (LONGEST_LINE + 1)))

    assert told.line == "ü" * LONGEST_LINE
    assert [line.line for line in await kept(database, flow)] == [told.line]


async def test_lines_of_jobs_that_nobody_knows_are_left_out(database: Database) -> None:
    flow = await Submitter(database).one(node())

    async with database.write() as transaction:
        nothing = await job_log.append(transaction, {}, [LogLine(job_id="other-1", at=START, line="who?")], MOST)

    assert nothing == []
    assert await kept(database, flow) == []


async def test_a_new_run_goes_on_with_the_numbers_of_the_one_before(database: Database) -> None:
    flow = await Submitter(database).one(node())
    await say(database, flow, (0, "first run"))
    again = f"{flow.jobs[0].id}-2"

    async with database.write() as transaction:
        (job,) = await states.open_jobs(transaction, flow.id)
        said = [LogLine(job_id=again, at=START, line="second run")]
        await job_log.append(transaction, {again: replace(job, job_id=again)}, said, MOST)

    assert [(line.n, line.run, line.line) for line in await kept(database, flow)] == [
        (1, 1, "first run"),
        (2, 2, "second run"),
    ]


async def test_lines_come_in_pages_behind_a_number(database: Database) -> None:
    flow = await Submitter(database).one(node())
    await say(database, flow, *((0, str(number)) for number in range(5)))

    assert [line.n for line in await kept(database, flow, limit=2)] == [1, 2]
    assert [line.n for line in await kept(database, flow, after=2, limit=2)] == [3, 4]
    assert await kept(database, flow, after=5) == []
