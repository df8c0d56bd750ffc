"""The log is read in order, after any number, flow by flow."""

from collections.abc import Mapping
from math import ceil

import pytest
from sqlalchemy.exc import IntegrityError

from bullflow.flow.facts import Json
from bullflow.flow.record import Entry
from bullflow.flow.states import LogEvent
from bullflow.store import log
from bullflow.store.database import Database
from bullflow.store.log import LogItem
from support.flows import START, Submitter, node


async def test_entries_come_after_a_number_oldest_first_and_at_most_so_many(database: Database) -> None:
    flow_id, _ = await _two_flows(database, 10, 3)

    async with database.read() as snapshot:
        read = {
            (after, limit): [entry.seq for entry in await log.after(snapshot, flow_id, after, limit)]
            for after, limit in [(0, 100), (0, 3), (3, 3), (9, 3), (10, 3), (2**31 - 1, 3)]
        }

    assert read == {
        (0, 100): list(range(1, 11)),
        (0, 3): [1, 2, 3],
        (3, 3): [4, 5, 6],
        (9, 3): [10],
        (10, 3): [],
        (2**31 - 1, 3): [],
    }


async def test_a_flow_that_nobody_knows_has_no_entries(database: Database) -> None:
    async with database.read() as snapshot:
        assert await log.after(snapshot, "nobody", 0, 10) == []
        assert await log.after_each(snapshot, {"nobody": 0}, 10) == []
        assert await log.last_seqs(snapshot, ["nobody"]) == {}


async def test_an_entry_is_read_as_it_was_written(database: Database) -> None:
    flow_id, _ = await _two_flows(database, 1, 1)
    data = {"status": "delayed", "result": Json('{"a": [1,  2]}'), "text": 'nul \0 "quote" 日本', "until": START + 5}
    entry = Entry(
        flow_id=flow_id, seq=2, at=START + 1, event=LogEvent.JOB_DELAYED, id="the job", job_id="the job-1", data=data
    )

    await _append(database, entry)

    async with database.read() as snapshot:
        assert await log.after(snapshot, flow_id, 1, 10) == [
            LogItem(
                flow_id=flow_id,
                seq=2,
                at=START + 1,
                event="job.delayed",
                id="the job",
                job_id="the job-1",
                data='{"status":"delayed","result":{"a": [1,  2]},"text":"nul \\u0000 \\"quote\\" 日本",'
                '"until":"2026-09-21T14:13:20.005Z"}',
            )
        ]


async def test_a_number_is_given_once(database: Database) -> None:
    flow_id, _ = await _two_flows(database, 3, 1)

    with pytest.raises(IntegrityError):
        await _append(database, _entry(flow_id, 3))


async def test_no_entries_are_written_without_a_statement(database: Database) -> None:
    await _append(database)


async def test_each_flow_is_read_after_its_own_number(database: Database) -> None:
    long, short = await _two_flows(database, 50, 3)

    assert await _after_each(database, {long: 47, short: 1}) == [
        (long, 48),
        (long, 49),
        (long, 50),
        (short, 2),
        (short, 3),
    ]
    assert await _after_each(database, {long: 50, short: 0}) == [(short, 1), (short, 2), (short, 3)]
    assert await _after_each(database, {short: 2}) == [(short, 3)]
    assert await _after_each(database, {long: 50, short: 3}) == []
    assert await _after_each(database, {}) == []


async def test_a_limit_cuts_all_flows_together(database: Database) -> None:
    long, short = await _two_flows(database, 50, 3)

    assert await _after_each(database, {long: 48, short: 0}, limit=4) == [
        (long, 49),
        (long, 50),
        (short, 1),
        (short, 2),
    ]


@pytest.mark.parametrize("limit", [1, 7, 1_000])
async def test_flows_that_start_far_apart_all_come_to_their_end(database: Database, limit: int) -> None:
    long, short = await _two_flows(database, 200, 20)
    since = {long: 150, short: 0}
    pages: list[list[tuple[str, int]]] = []

    while (page := await _after_each(database, since, limit)) and len(pages) < 100:
        pages.append(page)
        since = {**since, **dict(page)}

    read = [entry for page in pages for entry in page]
    assert read == [(long, seq) for seq in range(151, 201)] + [(short, seq) for seq in range(1, 21)]
    assert len(pages) == ceil(70 / limit)


async def test_many_flows_are_read_in_one_statement(database: Database) -> None:
    new = await Submitter(database).all(*(node() for _ in range(500)))

    read = await _after_each(database, {flow.id: 0 for flow in new}, limit=1_000)

    assert read == [(flow.id, 1) for flow in new]


async def test_the_last_numbers_of_flows(database: Database) -> None:
    submitter = Submitter(database)
    new = [await submitter.one(node()) for _ in range(3)]

    async with database.read() as snapshot:
        assert await log.last_seqs(snapshot, [new[0].id, new[2].id, "nobody"]) == {new[0].id: 1, new[2].id: 1}
        assert await log.last_seqs(snapshot, []) == {}


async def _two_flows(database: Database, *lengths: int) -> list[str]:
    submitter = Submitter(database)
    ids = [(await submitter.one(node())).id for _ in lengths]
    for flow_id, length in zip(ids, lengths, strict=True):
        await _append(database, *(_entry(flow_id, seq) for seq in range(2, length + 1)))
    return ids


def _entry(flow_id: str, seq: int) -> Entry:
    return Entry(flow_id=flow_id, seq=seq, at=START, event=LogEvent.JOB_ACTIVE)


async def _append(database: Database, *entries: Entry) -> None:
    async with database.write() as transaction:
        await log.append(transaction, entries)


async def _after_each(database: Database, since: Mapping[str, int], limit: int = 100) -> list[tuple[str, int]]:
    async with database.read() as snapshot:
        return [(entry.flow_id, entry.seq) for entry in await log.after_each(snapshot, since, limit)]
