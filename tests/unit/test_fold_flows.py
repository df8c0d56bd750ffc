"""One fold at a time: how a flow is dispatched, goes on with its jobs, and ends."""

from bullflow.flow.facts import FactKind
from bullflow.flow.states import FlowStatus, JobStatus
from support.ledger import a_fact, a_job, a_ledger, nothing, told

ACTIVE, FAILED = JobStatus.ACTIVE, JobStatus.FAILED


def test_a_parent_fails_because_a_child_failed_and_with_it_the_flow() -> None:
    ledger = a_ledger(a_job(status=JobStatus.WAITING_CHILDREN), a_job("child", ACTIVE, depth=1))

    ledger.record(
        [
            a_fact(FactKind.FAILED, 5, "child-1", reason="broken"),
            a_fact(FactKind.WAITING, 5),
            a_fact(FactKind.ACTIVE, 6),
            a_fact(FactKind.FAILED, 7, reason="child bull:q:child-1 failed"),
        ]
    )

    assert told(ledger.log) == [
        ("job.failed", "child"),
        ("job.waiting", "root"),
        ("job.active", "root"),
        ("job.failed", "root"),
        ("flow.failed", None),
    ]
    assert (ledger.flows["flow"].error or {})["message"] == "child bull:q:child-1 failed"
    assert ledger.flows["flow"].counts[FAILED] == 2


def test_a_failed_child_alone_does_not_end_the_flow() -> None:
    ledger = a_ledger(a_job(status=JobStatus.WAITING_CHILDREN), a_job("child", ACTIVE, depth=1))

    ledger.record([a_fact(FactKind.FAILED, 5, "child-1", reason="broken")])

    assert told(ledger.log) == [("job.failed", "child")]
    assert ledger.flows["flow"].finished_at is None


def test_siblings_still_run_in_the_log_after_the_flow_has_failed() -> None:
    ledger = a_ledger(a_job(status=ACTIVE), a_job("slow", ACTIVE, depth=1), status=FlowStatus.ACTIVE)

    ledger.record([a_fact(FactKind.FAILED, 5, reason="child failed")])
    ledger.record([a_fact(FactKind.COMPLETED, 9, "slow-1")])

    assert told(ledger.log) == [("job.failed", "root"), ("flow.failed", None), ("job.completed", "slow")]
    flow = ledger.flows["flow"]
    assert (flow.status, flow.finished_at, flow.updated_at) == (FlowStatus.FAILED, 5, 9)


def test_within_a_millisecond_dispatch_comes_first_and_children_before_their_parents() -> None:
    ledger = a_ledger(a_job(status=JobStatus.WAITING_CHILDREN), a_job("child", depth=1))

    ledger.record(
        [
            a_fact(FactKind.ACTIVE, 5, n=3),
            a_fact(FactKind.WAITING, 5, n=2),
            a_fact(FactKind.COMPLETED, 5, "child-1", n=8),
            a_fact(FactKind.ACTIVE, 5, "child-1", n=7),
            a_fact(FactKind.ADDED, 5, n=0),
        ]
    )

    assert told(ledger.log) == [
        ("flow.dispatched", None),
        ("job.active", "child"),
        ("job.completed", "child"),
        ("job.waiting", "root"),
        ("job.active", "root"),
    ]


def test_a_second_dispatch_is_not_told_again() -> None:
    ledger = a_ledger(a_job())

    ledger.record([a_fact(FactKind.ADDED, 1)])
    ledger.record([a_fact(FactKind.DUPLICATED, 2), a_fact(FactKind.ADDED, 3)])

    assert told(ledger.log) == [("flow.dispatched", None)]
    assert ledger.flows["flow"].dispatch_due is False


def test_a_missed_dispatch_is_told_by_the_duplicate() -> None:
    ledger = a_ledger(a_job())

    ledger.record([a_fact(FactKind.DUPLICATED, 2)])

    assert told(ledger.log) == [("flow.dispatched", None)]


def test_a_child_that_is_added_is_not_the_dispatch_of_its_flow() -> None:
    ledger = a_ledger(a_job(status=JobStatus.WAITING_CHILDREN), a_job("child", depth=1))

    ledger.record([a_fact(FactKind.ADDED, 1, "child-1")])

    assert ledger.log == []
    assert ledger.flows["flow"].dispatch_due


def test_an_ended_flow_is_no_longer_to_be_dispatched() -> None:
    ledger = a_ledger(a_job())

    ledger.record([a_fact(FactKind.COMPLETED, 5)])
    assert nothing(ledger.record([a_fact(FactKind.DUPLICATED, 6)]))

    assert ledger.flows["flow"].dispatch_due is False


def test_a_cancelled_flow_does_not_end_again_with_its_root() -> None:
    ledger = a_ledger(a_job(status=ACTIVE), status=FlowStatus.CANCELLED)

    ledger.record([a_fact(FactKind.COMPLETED, 5)])

    assert told(ledger.log) == [("job.completed", "root")]
    assert ledger.flows["flow"].status is FlowStatus.CANCELLED


def test_a_late_fact_does_not_turn_back_the_flows_clock() -> None:
    ledger = a_ledger(a_job(status=JobStatus.WAITING_CHILDREN), *(a_job(name, depth=1) for name in "ab"))

    ledger.record([a_fact(FactKind.ACTIVE, 9, "a-1")])
    ledger.record([a_fact(FactKind.ACTIVE, 4, "b-1")])

    assert ledger.flows["flow"].updated_at == 9
