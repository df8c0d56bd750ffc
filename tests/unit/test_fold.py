"""One fold at a time: what each fact does to a job and to the log."""

import pytest

from bullflow.flow.facts import FactId, FactKind, Json
from bullflow.flow.record import JobState
from bullflow.flow.states import FlowStatus, JobStatus
from support.ledger import a_fact, a_job, a_ledger, nothing, told

WAITING, ACTIVE, COMPLETED, FAILED = (
    JobStatus.WAITING,
    JobStatus.ACTIVE,
    JobStatus.COMPLETED,
    JobStatus.FAILED,
)


def test_a_job_runs_from_the_queue_to_its_result() -> None:
    ledger = a_ledger(a_job())

    ledger.record([a_fact(FactKind.ADDED, 1), a_fact(FactKind.WAITING, 1, n=1), a_fact(FactKind.ACTIVE, 2)])
    ledger.record([a_fact(FactKind.COMPLETED, 3, result=Json('{"n":1}'))])

    job, flow = ledger.jobs["root-1"], ledger.flows["flow"]
    assert (job.status, job.result, job.attempts_made) == (COMPLETED, Json('{"n":1}'), 1)
    assert (job.started_at, job.finished_at, job.updated_at) == (2, 3, 3)
    assert (flow.status, flow.finished_at, flow.updated_at, flow.last_seq) == (FlowStatus.COMPLETED, 3, 3, 5)
    assert [(entry.seq, entry.at, entry.event, entry.job_id, entry.data) for entry in ledger.log] == [
        (2, 1, "flow.dispatched", None, {}),
        (3, 2, "job.active", "root-1", {"status": "active", "attempt": 1}),
        (4, 3, "job.completed", "root-1", {"status": "completed", "result": Json('{"n":1}')}),
        (5, 3, "flow.completed", None, {"status": "completed", "result": Json('{"n":1}')}),
    ]


def test_completed_without_a_value_is_null() -> None:
    ledger = a_ledger(a_job(status=ACTIVE))

    ledger.record([a_fact(FactKind.COMPLETED, 3)])

    assert ledger.jobs["root-1"].result == Json("null")
    assert ledger.log[0].data == {"status": "completed", "result": Json("null")}


def test_a_failed_job_keeps_the_reason_the_stack_and_the_number_of_its_attempt() -> None:
    ledger = a_ledger(a_job(status=ACTIVE, attempts_made=2))

    ledger.record([a_fact(FactKind.FAILED, 3, reason="no space left", stack="at write")])

    error = {"message": "no space left", "stack": "at write", "attempt": 3}
    assert (ledger.jobs["root-1"].error, ledger.jobs["root-1"].attempts_made) == (error, 3)
    assert [entry.data for entry in ledger.log] == [{"status": "failed", "error": error}] * 2
    assert told(ledger.log) == [("job.failed", "root"), ("flow.failed", None)]
    assert ledger.flows["flow"].error == error


def test_a_retry_writes_job_retrying_with_the_error_and_its_attempt() -> None:
    ledger = a_ledger(a_job(status=ACTIVE))

    ledger.record([a_fact(FactKind.WAITING, 3, reason="no route"), a_fact(FactKind.ACTIVE, 4)])

    retrying, active = ledger.log
    error = {"message": "no route", "stack": None, "attempt": 1}
    assert (retrying.event, retrying.data) == ("job.retrying", {"status": "waiting", "error": error})
    assert (active.event, active.data) == ("job.active", {"status": "active", "attempt": 2})
    assert ledger.jobs["root-1"].attempts_made == 1


def test_a_retry_with_backoff_says_until_when_it_is_delayed() -> None:
    ledger = a_ledger(a_job(status=ACTIVE))

    ledger.record([a_fact(FactKind.DELAYED, 3, reason="no route", until=5000)])

    assert ledger.log[0].event == "job.retrying"
    assert ledger.log[0].data["until"] == 5000
    assert ledger.jobs["root-1"].status is JobStatus.DELAYED


def test_a_retried_job_that_completes_leaves_no_error() -> None:
    ledger = a_ledger(a_job(status=ACTIVE))

    ledger.record([a_fact(FactKind.WAITING, 3, reason="no route"), a_fact(FactKind.ACTIVE, 4)])
    assert ledger.jobs["root-1"].error is not None
    ledger.record([a_fact(FactKind.COMPLETED, 5)])

    job = ledger.jobs["root-1"]
    assert (job.error, job.attempts_made) == (None, 2)


def test_a_stalled_job_goes_back_to_waiting_without_an_attempt() -> None:
    ledger = a_ledger(a_job(status=ACTIVE))

    ledger.record([a_fact(FactKind.WAITING, 3), a_fact(FactKind.STALLED, 3, n=1)])

    assert told(ledger.log) == [("job.waiting", "root")]
    assert (ledger.jobs["root-1"].status, ledger.jobs["root-1"].attempts_made) == (WAITING, 0)
    assert ledger.jobs["root-1"].error is None


def test_a_stalled_job_that_carries_an_older_reason_is_not_taken_for_a_retry() -> None:
    ledger = a_ledger(a_job(status=ACTIVE, attempts_made=1))

    ledger.record([a_fact(FactKind.WAITING, 3, reason="of the first attempt", attempts_made=1)])

    assert told(ledger.log) == [("job.waiting", "root")]
    assert ledger.jobs["root-1"].attempts_made == 1


def test_a_delayed_job_tells_until_when() -> None:
    ledger = a_ledger(a_job(status=JobStatus.WAITING_CHILDREN))

    ledger.record([a_fact(FactKind.DELAYED, 3, until=9000)])

    assert [(entry.event, entry.data) for entry in ledger.log] == [
        ("job.delayed", {"status": "delayed", "until": 9000})
    ]


@pytest.mark.parametrize(("priority", "queued"), [(0, "waiting"), (3, "prioritized")])
def test_a_delayed_job_that_is_due_goes_to_its_queue(priority: int, queued: str) -> None:
    ledger = a_ledger(a_job(status=JobStatus.DELAYED, priority=priority))

    ledger.record([a_fact(FactKind.WAITING, 3)])

    assert [(entry.event, entry.data) for entry in ledger.log] == [("job.waiting", {"status": queued})]


def test_facts_that_repeat_the_first_state_need_no_write() -> None:
    ledger = a_ledger(a_job(), dispatch_due=False)

    assert nothing(ledger.record([a_fact(FactKind.ADDED, 1), a_fact(FactKind.WAITING, 1, n=1)]))


def test_facts_that_repeat_a_later_state_are_remembered() -> None:
    ledger = a_ledger(a_job())
    ledger.record([a_fact(FactKind.ACTIVE, 5)])
    ledger.record([a_fact(FactKind.ACTIVE, 9)])

    assert nothing(ledger.record([a_fact(FactKind.WAITING, 7)]))


@pytest.mark.parametrize("end", [FactKind.COMPLETED, FactKind.FAILED])
def test_a_missed_active_does_not_lose_the_end(end: FactKind) -> None:
    ledger = a_ledger(a_job(status=JobStatus.WAITING_CHILDREN), a_job("child", depth=1))

    ledger.record([a_fact(end, 5, "child-1")])

    assert told(ledger.log) == [(f"job.{end}", "child")]
    assert (ledger.jobs["child-1"].attempts_made, ledger.jobs["child-1"].started_at) == (1, None)
    assert ledger.flows["flow"].status is FlowStatus.ACTIVE


def test_a_missed_waiting_leaves_the_job_active() -> None:
    ledger = a_ledger(a_job(status=ACTIVE))

    changes = ledger.record([a_fact(FactKind.ACTIVE, 5)])

    assert changes.entries == ()
    assert ledger.jobs["root-1"].status is ACTIVE


def test_a_late_result_of_an_old_run_is_ignored() -> None:
    ledger = a_ledger(JobState(id="root", job_id="root-2", flow_id="flow", depth=0, priority=0, status=WAITING))

    assert nothing(ledger.record([a_fact(FactKind.COMPLETED, 9, "root-1", result=Json("1"))]))
    assert ledger.jobs["root-2"].status is WAITING


@pytest.mark.parametrize("kind", list(FactKind))
@pytest.mark.parametrize("ended", [COMPLETED, FAILED, JobStatus.CANCELLED])
def test_an_ended_job_is_deaf(ended: JobStatus, kind: FactKind) -> None:
    ledger = a_ledger(a_job(status=ended), status=FlowStatus(ended.value), dispatch_due=False)

    assert nothing(ledger.record([a_fact(kind, 99, reason="zombie", result=Json("0"), progress=Json("9"))]))


def test_a_fact_that_is_older_than_the_last_one_is_ignored() -> None:
    ledger = a_ledger(a_job())
    ledger.record([a_fact(FactKind.ACTIVE, 5, n=2)])

    assert nothing(ledger.record([a_fact(FactKind.WAITING, 5, n=1), a_fact(FactKind.DELAYED, 4, n=9)]))
    assert nothing(ledger.record([a_fact(FactKind.WAITING, 5, n=2)]))


def test_ids_within_a_millisecond_are_compared_as_numbers() -> None:
    ledger = a_ledger(a_job())

    ledger.record([a_fact(FactKind.COMPLETED, 5, n=10), a_fact(FactKind.ACTIVE, 5, n=9)])

    assert told(ledger.log) == [("job.active", "root"), ("job.completed", "root"), ("flow.completed", None)]


def test_progress_is_reported_but_not_logged() -> None:
    ledger = a_ledger(a_job(status=ACTIVE))

    changes = ledger.record([a_fact(FactKind.PROGRESS, 3, progress=Json(percent)) for percent in ("10",)])

    assert (changes.entries, changes.flows) == ((), ())
    assert [job.progress for job in changes.progress] == [Json("10")]


def test_only_the_last_progress_of_a_batch_is_reported() -> None:
    ledger = a_ledger(a_job(status=ACTIVE))

    changes = ledger.record([a_fact(FactKind.PROGRESS, at, progress=Json(str(at))) for at in (1, 2, 3)])

    assert [job.progress for job in changes.progress] == [Json("3")]


def test_a_job_that_steps_aside_for_children_writes_nothing_until_it_comes_back() -> None:
    ledger = a_ledger(a_job(status=ACTIVE))

    ledger.record([a_fact(FactKind.WAITING_CHILDREN, 3)])
    assert (ledger.jobs["root-1"].status, ledger.log) == (JobStatus.WAITING_CHILDREN, [])
    ledger.record([a_fact(FactKind.WAITING, 4)])

    assert told(ledger.log) == [("job.waiting", "root")]


def test_an_empty_batch_changes_nothing() -> None:
    assert nothing(a_ledger(a_job()).record([]))


@pytest.mark.parametrize(
    ("text", "parsed"),
    [("17-3", FactId(17, 3)), ("17", FactId(17, 0)), ("1790000000000-12", FactId(1790000000000, 12))],
)
def test_a_fact_id_is_a_redis_stream_id(text: str, parsed: FactId) -> None:
    assert FactId.parse(text) == parsed
    assert FactId.parse(str(parsed)) == parsed
