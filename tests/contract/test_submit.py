"""What submit answers is stored, whole or not at all."""

import asyncio
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager

import pytest
from sqlalchemy import NullPool, create_engine, select, text

from bullflow.flow.facts import FactId
from bullflow.flow.states import JobStatus
from bullflow.flow.tree import FlowRequest
from bullflow.store import backlog, log, streams, views
from bullflow.store.database import Database, driver_url
from bullflow.store.flows import NewFlow
from bullflow.store.tables import Flow, FlowJob, FlowTag, LogEntry, StreamPosition
from bullflow.store.transaction import Transaction
from bullflow.store.views import FlowFilter
from support.flows import START, HandClock, Submitter, a_submit, caller, how_many, node, wide

FILM = node(
    "publish",
    node("cut", node("download", queue="net", data='{"video":42}', attempts=3), queue="cpu"),
    node("subtitles", queue="net", delay=1000),
    node("notify", priority=5),
    data='["a"]',
)


async def test_jobs_are_stored_in_tree_order_with_their_place(database: Database) -> None:
    flow = await Submitter(database).one(FILM)

    async with database.read() as snapshot:
        jobs = await views.jobs(snapshot, flow.id, after=-1, limit=100)

    names = {job.id: job.name for job in jobs}
    assert [(job.position, job.depth, job.name, names.get(job.parent_id or "")) for job in jobs] == [
        (0, 0, "publish", None),
        (1, 1, "cut", "publish"),
        (2, 2, "download", "cut"),
        (3, 1, "subtitles", "publish"),
        (4, 1, "notify", "publish"),
    ]


async def test_a_job_is_stored_as_it_was_asked_for(database: Database) -> None:
    flow = await Submitter(database).one(FILM)

    async with database.read() as snapshot:
        job = await views.job(snapshot, flow.user_id, flow.jobs[2].id)

    assert (job.name, job.queue_name, job.data, job.opts) == ("download", "net", '{"video":42}', '{"attempts":3}')
    assert (job.job_id, job.status, job.attempts_made) == (f"{job.id}-1", "waiting", 0)
    assert (job.result, job.error, job.progress, job.started_at, job.finished_at) == (None,) * 5
    assert (job.created_at, job.updated_at) == (START, START)


async def test_a_flow_is_stored_with_its_options_and_its_jobs_counted(database: Database) -> None:
    request = FlowRequest(root=FILM, fail_fast=True, deadline=60_000, tags=("b", "a"))
    flow = await Submitter(database).one(request)

    async with database.read() as snapshot:
        view = await views.flow(snapshot, flow.user_id, flow.id)

    assert (view.name, view.queue_name, view.status, view.last_seq) == ("publish", "flowQueue", "waiting", 1)
    assert (view.fail_fast, view.deadline, view.tags) == (True, START + 60_000, '["b","a"]')
    assert (view.created_at, view.updated_at, view.finished_at) == (START, START, None)
    assert (view.result, view.error) == (None, None)
    assert {status: number for status, number in view.counts.items() if number} == {
        JobStatus.WAITING_CHILDREN: 2,
        JobStatus.WAITING: 1,
        JobStatus.DELAYED: 1,
        JobStatus.PRIORITIZED: 1,
    }


async def test_the_log_begins_with_the_creation(database: Database) -> None:
    flow = await Submitter(database).one(FILM)

    async with database.read() as snapshot:
        (entry,) = await log.after(snapshot, flow.id, 0, 10)

    assert (entry.seq, entry.at, entry.event, entry.id) == (1, START, "flow.created", None)
    assert entry.data == '{"status":"waiting","name":"publish","jobs":5}'


async def test_the_queues_of_all_jobs_are_known_from_the_beginning_of_their_streams(database: Database) -> None:
    await Submitter(database).one(FILM)

    async with database.read() as snapshot:
        assert await streams.positions(snapshot) == dict.fromkeys(["cpu", "flowQueue", "net"], FactId(0, 0))


async def test_a_flow_is_due_for_dispatch_with_all_its_jobs(database: Database) -> None:
    flow = await Submitter(database).one(FILM)

    async with database.read() as snapshot:
        assert await backlog.to_dispatch(snapshot, [], 10) == {flow.id: 5}
        assert await backlog.to_dispatch(snapshot, [flow.id], 10) == {}
        jobs = await backlog.jobs_to_dispatch(snapshot, [flow.id])

    assert [(job.id, job.job_id, job.parent_id, job.data) for job in jobs] == [
        (job.id, job.job_id, job.parent_id, job.node.data) for job in flow.jobs
    ]
    assert [(job.name, job.queue_name, job.opts, job.status) for job in jobs] == [
        (job.node.name, job.node.queue_name, job.node.opts, job.status) for job in flow.jobs
    ]


async def test_the_oldest_flows_are_dispatched_first(database: Database) -> None:
    submitter = Submitter(database)
    ids = [(await submitter.one(node())).id for _ in range(5)]

    async with database.read() as snapshot:
        due = await backlog.to_dispatch(snapshot, [ids[1]], 3)

    assert list(due) == [ids[0], ids[2], ids[3]]


async def test_those_who_wait_are_told_when_the_flow_can_be_read(database: Database) -> None:
    seen: list[list[str]] = []

    def accepted(new: Sequence[NewFlow]) -> None:
        with create_engine(driver_url(database.url), poolclass=NullPool).connect() as elsewhere:
            seen.append(list(elsewhere.scalars(select(Flow.id).order_by(Flow.id))))

    clock = HandClock()
    user = await Submitter(database).caller()
    submit = a_submit(database, clock=clock, new_id=clock.new_id, accepted=accepted)

    new = await submit(user, [FlowRequest(root=node()), FlowRequest(root=node())])

    assert seen == [[flow.id for flow in new]]


async def test_when_the_last_statement_fails_nothing_is_left_and_nobody_is_told(database: Database) -> None:
    submitter = Submitter(database)
    await submitter.user()
    await _run(database, "ALTER TABLE flow_log RENAME TO elsewhere")

    with pytest.raises(Exception, match="flow_log"):
        await submitter.one(FlowRequest(root=FILM, tags=("a",)))

    await _run(database, "ALTER TABLE elsewhere RENAME TO flow_log")
    assert await _what_is_stored(database) == [0, 0, 0, 0, 0]
    assert submitter.told == []


async def test_when_one_of_many_flows_cannot_be_stored_none_is(database: Database) -> None:
    submitter = Submitter(database)
    user, ids = await submitter.caller(), iter(["1", "job 1", "1", "job 2"])
    submit = a_submit(database, clock=submitter.clock, new_id=lambda: next(ids), accepted=submitter.accepted)

    with pytest.raises(Exception, match=r"(?i)unique"):
        await submit(user, [FlowRequest(root=node(tag), tags=(tag,)) for tag in ("first", "second")])

    assert await _what_is_stored(database) == [0, 0, 0, 0, 0]
    assert submitter.told == []


async def test_a_flow_of_an_unknown_user_is_not_stored(database: Database) -> None:
    submitter = Submitter(database)
    submit = a_submit(database, clock=submitter.clock, new_id=submitter.clock.new_id, accepted=submitter.accepted)

    with pytest.raises(Exception, match=r"(?i)foreign"):
        await submit(caller("nobody"), [FlowRequest(root=node())])

    assert await _what_is_stored(database) == [0, 0, 0, 0, 0]


async def test_requests_at_the_same_time_are_each_stored_whole(database: Database) -> None:
    submitter = Submitter(database)

    new = await asyncio.gather(*(submitter.one(node(f"flow-{number}", node())) for number in range(100)))

    async with database.read() as snapshot:
        found = {flow.id: flow.name for flow in await views.flows(snapshot, new[0].user_id, FlowFilter(), None, 200)}
    assert found == {flow.id: f"flow-{number}" for number, flow in enumerate(new)}
    assert await _what_is_stored(database) == [100, 200, 0, 100, 1]
    assert sorted(submitter.told) == sorted(found)


async def test_a_request_that_cannot_be_stored_does_not_harm_those_beside_it(database: Database) -> None:
    submitter = Submitter(database)
    owner = await submitter.user()
    submit = a_submit(database, clock=submitter.clock, new_id=submitter.clock.new_id, accepted=submitter.accepted)
    users = [owner, owner, "nobody", owner]

    answers = await asyncio.gather(
        *(submit(caller(user), [FlowRequest(root=node())]) for user in users), return_exceptions=True
    )

    assert [isinstance(answer, Exception) for answer in answers] == [False, False, True, False]
    assert await _what_is_stored(database) == [3, 3, 0, 3, 1]


async def test_ten_thousand_jobs_are_stored(database: Database) -> None:
    flow = await Submitter(database).one(wide(9_999))

    async with database.read() as snapshot:
        view = await views.flow(snapshot, flow.user_id, flow.id)
        last = await views.jobs(snapshot, flow.id, after=9_998, limit=10)
        due = await backlog.jobs_to_dispatch(snapshot, [flow.id])

    assert view.counts[JobStatus.WAITING] == 9_999
    assert [(job.name, job.position) for job in last] == [("leaf-9998", 9_999)]
    assert [job.id for job in due] == [job.id for job in flow.jobs]


async def test_a_hundred_levels_are_stored(database: Database) -> None:
    deep = node("level-99")
    for level in reversed(range(99)):
        deep = node(f"level-{level}", deep)

    flow = await Submitter(database).one(deep)

    async with database.read() as snapshot:
        jobs = await views.jobs(snapshot, flow.id, after=-1, limit=200)
    assert [(job.name, job.depth) for job in jobs] == [(f"level-{level}", level) for level in range(100)]


async def _run(database: Database, statement: str) -> None:
    async with database.write() as transaction:
        await transaction.execute(text(statement))


async def _what_is_stored(database: Database) -> list[int]:
    return [await how_many(database, table) for table in (Flow, FlowJob, FlowTag, LogEntry, StreamPosition)]


async def test_an_accepted_flow_is_on_the_disk_and_not_only_safe_from_a_crash(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    submitter, write, asked = Submitter(database), database.write, list[bool]()
    await submitter.user()

    def noted(*, replayable: bool = False) -> AbstractAsyncContextManager[Transaction]:
        asked.append(replayable)
        return write(replayable=replayable)

    monkeypatch.setattr(database, "write", noted)
    await submitter.one(node())

    assert True not in asked
