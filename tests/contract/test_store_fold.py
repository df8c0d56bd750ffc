"""What a fold changes is what is read back, and nothing else is touched."""

from dataclasses import replace
from typing import Any

from hypothesis import HealthCheck, given, settings
from sqlalchemy import delete, select

from bullflow.flow.facts import FactKind, Json
from bullflow.flow.record import Changes, Entry, FlowState, JobState
from bullflow.flow.states import FlowStatus, JobStatus, LogEvent
from bullflow.store import changing, log, states, views
from bullflow.store.database import Database
from bullflow.store.flows import NewFlow
from bullflow.store.tables import Flow, FlowJob, LogEntry
from support.delivery import by_millisecond
from support.flows import START, Submitter, node, record, rows, store_history
from support.histories import History, histories
from support.ledger import Ledger, a_fact, nothing


async def test_a_job_that_completes_is_read_back_with_its_life(database: Database) -> None:
    flow = await Submitter(database).one(node())
    job_id = flow.jobs[0].job_id

    await record(
        database,
        [
            a_fact(FactKind.ADDED, START + 1, job_id),
            a_fact(FactKind.ACTIVE, START + 2, job_id),
            a_fact(FactKind.PROGRESS, START + 3, job_id, progress=Json('{"percent": 40}')),
            a_fact(FactKind.COMPLETED, START + 4, job_id, result=Json('{"path":"a.mp4"}')),
        ],
    )

    job, view = await _read(database, flow)
    assert (job.status, job.attempts_made, job.result, job.error) == ("completed", 1, '{"path":"a.mp4"}', None)
    assert (job.progress, job.started_at, job.finished_at) == ('{"percent": 40}', START + 2, START + 4)
    assert (job.created_at, job.updated_at) == (START, START + 4)
    assert (view.status, view.result, view.error) == ("completed", '{"path":"a.mp4"}', None)
    assert (view.created_at, view.updated_at, view.finished_at) == (START, START + 4, START + 4)
    assert {status for status, number in view.counts.items() if number} == {JobStatus.COMPLETED}


async def test_a_job_that_fails_is_read_back_with_its_reason(database: Database) -> None:
    flow = await Submitter(database).one(node())
    job_id = flow.jobs[0].job_id
    reason, stack = "it's \0 broken \U0001f642", "line 1\nline 2"

    await record(
        database,
        [
            a_fact(FactKind.ACTIVE, START + 2, job_id),
            a_fact(FactKind.FAILED, START + 3, job_id, reason=reason, stack=stack),
        ],
    )

    job, view = await _read(database, flow)
    expected = f'{{"message":"it\'s \\u0000 broken {chr(0x1F642)}","stack":"line 1\\nline 2","attempt":1}}'
    assert (job.status, job.attempts_made, job.result, job.error) == ("failed", 1, None, expected)
    assert (view.status, view.result, view.error) == ("failed", None, expected)


async def test_the_log_tells_what_was_folded(database: Database) -> None:
    flow = await Submitter(database).one(node())
    job = flow.jobs[0]

    await record(
        database,
        [
            a_fact(FactKind.ADDED, START + 1, job.job_id),
            a_fact(FactKind.ACTIVE, START + 2, job.job_id),
            a_fact(FactKind.DELAYED, START + 3, job.job_id, reason="again", until=START + 500),
            a_fact(FactKind.COMPLETED, START + 9, job.job_id, result=Json('{"b": 1,"a":[ ]}')),
        ],
    )

    async with database.read() as snapshot:
        entries = await log.after(snapshot, flow.id, 1, 50)
    assert [(entry.seq, entry.at - START, entry.event, entry.id, entry.job_id) for entry in entries] == [
        (2, 1, "flow.dispatched", None, None),
        (3, 2, "job.active", job.id, job.job_id),
        (4, 3, "job.retrying", job.id, job.job_id),
        (5, 9, "job.completed", job.id, job.job_id),
        (6, 9, "flow.completed", None, None),
    ]
    assert entries[2].data == (
        '{"status":"delayed","error":{"message":"again","stack":null,"attempt":1},"until":"2026-09-21T14:13:20.500Z"}'
    )
    assert entries[3].data == '{"status":"completed","result":{"b": 1,"a":[ ]}}'


async def test_the_same_facts_again_change_nothing(database: Database) -> None:
    flow = await Submitter(database).one(node())
    facts = [
        a_fact(FactKind.ADDED, START + 1, flow.jobs[0].job_id),
        a_fact(FactKind.ACTIVE, START + 2, flow.jobs[0].job_id),
    ]
    await record(database, facts)
    before = [await rows(database, table) for table in (Flow, FlowJob, LogEntry)]

    again = await record(database, facts)

    assert nothing(again)
    assert [await rows(database, table) for table in (Flow, FlowJob, LogEntry)] == before


async def test_facts_of_unknown_jobs_load_nothing(database: Database) -> None:
    flow = await Submitter(database).one(node())

    changes = await record(
        database,
        [a_fact(FactKind.ACTIVE, START, f"{flow.jobs[0].id}-2"), a_fact(FactKind.ACTIVE, START, "repeat:5")],
    )

    assert nothing(changes)


async def test_only_what_a_fold_changes_is_touched(database: Database) -> None:
    submitter = Submitter(database)
    flow = await submitter.one(node("root", node("child", data='{"keep":1}', attempts=3)))
    await submitter.one(node("bystander", node()))
    flows_before, jobs_before = await rows(database, Flow), await rows(database, FlowJob)

    await record(database, [a_fact(FactKind.ACTIVE, START + 7, flow.jobs[1].job_id)])

    moved = {"status": "active", "last_seq": 2, "updated_at": START + 7, "n_waiting": 0, "n_active": 1}
    started = {"status": "active", "last_fact": f"{START + 7}-0", "updated_at": START + 7, "started_at": START + 7}
    assert await rows(database, Flow) == _changed(flows_before, flow.id, moved)
    assert await rows(database, FlowJob) == _changed(jobs_before, flow.jobs[1].id, started)


async def test_every_field_of_a_change_is_written_down(database: Database) -> None:
    flow = await Submitter(database).one(node())
    job, at = flow.jobs[0], START + 5
    error = {"message": "no", "stack": None, "attempt": 2}
    changed_job = JobState(
        id=job.id,
        job_id=job.job_id,
        flow_id=flow.id,
        name="root",
        depth=0,
        priority=0,
        status=JobStatus.CANCELLED,
        worker="host:1",
        attempts_made=2,
        last_fact=a_fact(FactKind.FAILED, at, n=7).id,
        updated_at=at,
        started_at=at - 1,
        finished_at=at,
        error=error,
        progress=Json("[1]"),
    )
    changed_flow = FlowState(
        id=flow.id,
        status=FlowStatus.CANCELLED,
        last_seq=2,
        dispatch_due=False,
        withdraw_due=True,
        counts={status: number for number, status in enumerate(JobStatus)},
        updated_at=at,
        finished_at=at,
        error=error,
        user_id=flow.user_id,
        stored_bytes=77,
    )
    entry = Entry(flow_id=flow.id, seq=2, at=at, event=LogEvent.FLOW_CANCELLED)

    async with database.write() as transaction:
        await changing.apply(
            transaction, Changes(jobs=(changed_job,), flows=(changed_flow,), entries=(entry,), progress=())
        )

    async with database.write() as transaction:
        assert await states.load_for_fold(transaction, [job.job_id]) == ([changed_job], [changed_flow])


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(history=histories())
async def test_any_history_is_kept_just_as_the_fold_tells_it(database: Database, history: History) -> None:
    await _empty(database)
    await store_history(database, history, await Submitter(database).user())
    ledger = Ledger(history.jobs, history.flows)

    for batch in by_millisecond(history.facts):
        await record(database, batch)
        ledger.record(batch)

    async with database.write() as transaction:
        jobs, their_flows = await states.load_for_fold(transaction, list(ledger.jobs))
        results = {row.job_id: row.result for row in await transaction.execute(select(FlowJob.job_id, FlowJob.result))}
        entries = await log.after_each(transaction, dict.fromkeys(ledger.flows, 0), 10_000)
    assert {job.job_id: job for job in jobs} == {key: _without_result(job) for key, job in ledger.jobs.items()}
    assert {flow.id: _counted(flow) for flow in their_flows} == {
        key: _counted(flow) for key, flow in ledger.flows.items()
    }
    assert results == {key: job.result.text if job.result else None for key, job in ledger.jobs.items()}
    assert [(entry.flow_id, entry.seq, entry.event, entry.id, entry.data) for entry in entries] == sorted(
        (entry.flow_id, entry.seq, entry.event.value, entry.id, log.encode(entry.data)) for entry in ledger.log
    )


async def _read(database: Database, flow: NewFlow) -> tuple[views.JobView, views.FlowView]:
    async with database.read() as snapshot:
        job = await views.job(snapshot, flow.user_id, flow.jobs[0].id)
        return job, await views.flow(snapshot, flow.user_id, flow.id)


async def _empty(database: Database) -> None:
    async with database.write() as transaction:
        await transaction.execute(delete(Flow))


def _changed(before: list[dict[str, Any]], key: str, fields: dict[str, Any]) -> list[dict[str, Any]]:
    return [{**row, **fields} if row["id"] == key else row for row in before]


def _without_result(job: JobState) -> JobState:
    return replace(job, result=None)


def _counted(flow: FlowState) -> FlowState:
    """What is kept of a flow: not what its last decision has added to it; and a history knows no users."""
    counts = {status: flow.counts.get(status, 0) for status in JobStatus}
    return replace(flow, counts=counts, newly_stored=0, user_id="")
