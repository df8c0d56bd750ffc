"""Endings that are decided: what each ends, what it leaves alone, and how it is told."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import product
from typing import Any

import pytest

from bullflow.flow import ending
from bullflow.flow.facts import FactId
from bullflow.flow.record import Changes, JobState
from bullflow.flow.states import ENDED, FLOW_ENDED, OPEN, FlowStatus, JobStatus
from bullflow.flow.tree import Policy
from support.books import Books, below, books
from support.ledger import a_job, told

ACTIVE, FAILED, COMPLETED = JobStatus.ACTIVE, JobStatus.FAILED, JobStatus.COMPLETED
PARENT = JobStatus.WAITING_CHILDREN
FATAL = (Policy.FAIL, Policy.WAIT)
REASON = {"message": "broken", "stack": "at x", "attempt": 2}
Decide = Callable[[Books], Changes]

DECISIONS: dict[str, Decide] = {"cancel": lambda book: book.cancel(70), "fail": lambda book: book.fail(70, "too late")}
MESSAGES = {"cancel": "the flow was cancelled", "fail": "too late"}


def failed(parent: JobState, name: str, policy: Policy = Policy.FAIL) -> JobState:
    return below(parent, name, FAILED, policy, error=REASON, attempts_made=2, finished_at=50)


def running(*jobs: JobState, **fields: Any) -> Books:
    """A flow that is in the engine."""
    return books(*jobs, dispatch_due=False, **fields)


def after(book: Books, *names: str) -> Changes | None:
    """What the failures of these jobs bring with them."""
    return book.follow_up([book.job(name) for name in names], now=60)


def assert_consistent(book: Books, before: Books) -> None:
    """Counts are the real ones, numbers go on without a gap, and each job that has changed has one entry."""
    counts, real = book.flow.counts, book.real_counts("flow")
    assert {status: counts.get(status, 0) for status in JobStatus} == {
        status: real.get(status, 0) for status in JobStatus
    }
    first = before.flow.last_seq + 1
    assert [entry.seq for entry in book.log] == list(range(first, first + len(book.log)))
    assert book.flow.last_seq == before.flow.last_seq + len(book.log)
    changed = {job.id for key, job in book.jobs.items() if job != before.jobs[key]}
    assert Counter(entry.id for entry in book.log if entry.id is not None) == dict.fromkeys(changed, 1)
    assert all(before.job(name).status in OPEN and book.job(name).status in ENDED for name in changed)
    assert book.flow.withdraw_due == (before.flow.withdraw_due or bool(changed))


# --- a flow as a whole -------------------------------------------------------------------------------


@pytest.mark.parametrize("decision", DECISIONS)
@pytest.mark.parametrize("status", sorted(OPEN))
def test_whatever_has_not_ended_is_cancelled_with_the_reason(decision: str, status: JobStatus) -> None:
    root = a_job(status=PARENT)
    book = books(root, below(root, "child", status, attempts_made=1, started_at=5, worker="host"))

    changes = DECISIONS[decision](book)

    error = {"message": MESSAGES[decision], "stack": None, "attempt": None}
    child = book.job("child")
    assert (child.status, child.error, child.finished_at, child.updated_at) == (JobStatus.CANCELLED, error, 70, 70)
    assert (child.attempts_made, child.started_at, child.worker) == (1, 5, "host")
    assert book.job("root").status is JobStatus.CANCELLED
    assert [(entry.seq, entry.at, entry.event, entry.job_id, entry.data) for entry in changes.entries[:2]] == [
        (2, 70, "job.cancelled", "root-1", {"status": "cancelled", "error": error}),
        (3, 70, "job.cancelled", "child-1", {"status": "cancelled", "error": error}),
    ]


@pytest.mark.parametrize(("decision", "status"), [("cancel", FlowStatus.CANCELLED), ("fail", FlowStatus.FAILED)])
def test_the_flow_ends_once_after_its_jobs_and_is_to_be_withdrawn(decision: str, status: FlowStatus) -> None:
    root = a_job(status=PARENT)
    book = books(root, below(root, "child", ACTIVE), below(root, "done", COMPLETED))
    before = Books(book.jobs.values(), book.flows.values())

    changes = DECISIONS[decision](book)

    error = {"message": MESSAGES[decision], "stack": None, "attempt": None}
    assert told(list(changes.entries)) == [
        ("job.cancelled", "root"),
        ("job.cancelled", "child"),
        (f"flow.{status}", None),
    ]
    assert changes.entries[-1].data == {"status": status, "error": error}
    assert (book.flow.status, book.flow.error, book.flow.finished_at, book.flow.updated_at) == (status, error, 70, 70)
    assert (book.flow.dispatch_due, book.flow.withdraw_due) == (False, True)
    assert_consistent(book, before)


@pytest.mark.parametrize("decision", DECISIONS)
@pytest.mark.parametrize("ended", sorted(FLOW_ENDED))
def test_a_flow_that_has_ended_keeps_its_end_and_what_goes_on_in_it_is_cancelled(
    decision: str, ended: FlowStatus
) -> None:
    root = a_job(status=JobStatus(ended), error=REASON, finished_at=50)
    book = books(
        root, below(root, "runs", ACTIVE), status=ended, error=REASON, finished_at=50, dispatch_due=False, last_seq=9
    )

    changes = DECISIONS[decision](book)

    assert told(list(changes.entries)) == [("job.cancelled", "runs")]
    assert (book.flow.status, book.flow.error, book.flow.finished_at) == (ended, REASON, 50)
    assert book.job("root") == root
    assert (book.flow.updated_at, book.flow.last_seq, book.flow.withdraw_due) == (70, 10, True)


@pytest.mark.parametrize("decision", DECISIONS)
def test_where_no_job_is_ended_nothing_is_to_be_withdrawn(decision: str) -> None:
    book = books(a_job(status=FAILED), status=FlowStatus.FAILED, dispatch_due=False)

    changes = DECISIONS[decision](book)

    assert (changes.jobs, changes.entries) == ((), ())
    assert not book.flow.withdraw_due


def test_an_ending_does_not_turn_back_the_flows_clock() -> None:
    book = books(a_job(), updated_at=99)

    book.cancel(70)

    assert (book.flow.updated_at, book.flow.finished_at) == (99, 70)


# --- the bare policy ---------------------------------------------------------------------------------


@pytest.mark.parametrize(("policy", "fail_fast", "more"), [
    (policy, fail_fast, fail_fast or policy is Policy.WAIT) for policy in Policy for fail_fast in (False, True)
])  # fmt: skip
def test_only_the_bare_policy_and_failing_fast_can_bring_more(policy: Policy, fail_fast: bool, more: bool) -> None:
    book = running(a_job(), fail_fast=fail_fast)

    assert ending.brings_more(book.flow, a_job("child", FAILED, depth=1, policy=policy)) is more


def test_under_the_bare_policy_each_job_above_fails_because_of_the_one_below_it() -> None:
    root = a_job(status=PARENT)
    middle = below(root, "middle", PARENT, attempts_made=1)
    bad = failed(middle, "bad", Policy.WAIT)
    book = running(root, middle, bad, below(root, "sibling", ACTIVE), below(bad, "grandchild"))
    before = Books(book.jobs.values(), book.flows.values())

    after(book, "bad")

    of_middle = {
        "message": 'child "bad" failed: broken',
        "stack": None,
        "attempt": 2,
        "childId": "bad",
        "originId": "bad",
    }
    of_root = {
        "message": 'child "middle" failed: child "bad" failed: broken',
        "stack": None,
        "attempt": 1,
        "childId": "middle",
        "originId": "bad",
    }
    assert [(entry.at, entry.event, entry.id, entry.data["error"]) for entry in book.log] == [
        (60, "job.failed", "middle", of_middle),
        (60, "job.failed", "root", of_root),
        (60, "flow.failed", None, of_root),
    ]
    assert (book.job("middle").error, book.job("root").error, book.flow.error) == (of_middle, of_root, of_root)
    assert (book.flow.status, book.flow.finished_at) == (FlowStatus.FAILED, 60)
    assert book.statuses() | {"sibling": "active", "grandchild": "waiting"} == book.statuses()
    assert_consistent(book, before)


@pytest.mark.parametrize("above", [policy for policy in Policy if policy is not Policy.WAIT])
def test_a_bare_failure_ends_the_flow_whatever_the_policies_above_it(above: Policy) -> None:
    root = a_job(status=PARENT)
    middle = below(root, "middle", PARENT, above)
    book = running(root, middle, failed(middle, "bad", Policy.WAIT))

    after(book, "bad")

    assert set(book.statuses().values()) == {"failed"}
    assert book.flow.status is FlowStatus.FAILED


@pytest.mark.parametrize("policy", [policy for policy in Policy if policy is not Policy.WAIT])
def test_any_other_failure_is_left_to_the_worker(policy: Policy) -> None:
    root = a_job(status=PARENT)
    book = running(root, failed(root, "bad", policy), below(root, "sibling"))

    assert after(book, "bad") is None
    assert book.log == []


def test_a_bare_failure_below_a_job_that_has_ended_ends_nothing() -> None:
    root = a_job(status=PARENT)
    ended = failed(root, "ended", Policy.IGNORE)
    book = running(root, ended, failed(ended, "late", Policy.WAIT))

    assert after(book, "late") is None
    assert book.job("root") == root


def test_two_bare_failures_fail_their_common_ancestors_once_because_of_the_first() -> None:
    root = a_job(status=PARENT)
    left, right = below(root, "left", PARENT), below(root, "right", PARENT)
    book = running(root, left, right, failed(left, "one", Policy.WAIT), failed(right, "two", Policy.WAIT))
    before = Books(book.jobs.values(), book.flows.values())

    after(book, "one", "two")

    assert told(book.log) == [
        ("job.failed", "left"),
        ("job.failed", "root"),
        ("flow.failed", None),
        ("job.failed", "right"),
    ]
    assert (book.flow.error or {})["childId"] == "left"
    assert_consistent(book, before)


def test_a_bare_failure_in_a_flow_that_has_failed_ends_the_branch_above_it_and_not_the_flow_again() -> None:
    root = a_job(status=FAILED, error=REASON)
    branch = below(root, "branch", PARENT)
    state = {"status": FlowStatus.FAILED, "error": REASON, "finished_at": 50}
    book = running(root, branch, failed(branch, "bad", Policy.WAIT), **state)

    after(book, "bad")

    assert told(book.log) == [("job.failed", "branch")]
    assert (book.flow.error, book.flow.finished_at, book.flow.withdraw_due) == (REASON, 50, True)


def test_what_was_to_run_again_is_cancelled_when_the_flow_fails_before_its_dispatch() -> None:
    """A job that ran on from the earlier run has failed, under the bare policy: the rest would never be dispatched."""
    root = a_job(status=PARENT)
    heard_of, again = below(root, "heard-of", last_fact=FactId(9, 0)), below(root, "again", PARENT)
    jobs = [heard_of, again, below(again, "deeper", JobStatus.DELAYED), failed(root, "bad", Policy.WAIT)]
    book = books(root, *jobs)
    before = Books(book.jobs.values(), book.flows.values())

    after(book, "bad")

    assert book.statuses() == {
        "root": "failed", "bad": "failed", "heard-of": "waiting", "again": "cancelled", "deeper": "cancelled",
    }  # fmt: skip
    assert (book.job("deeper").error or {})["message"] == "the flow has failed before it was dispatched again"
    assert (book.flow.status, book.flow.dispatch_due) == (FlowStatus.FAILED, False)
    assert_consistent(book, before)


def test_in_a_flow_that_is_still_to_be_dispatched_a_failure_that_does_not_end_it_ends_no_others() -> None:
    root = a_job(status=PARENT)
    ended = failed(root, "ended", Policy.IGNORE)
    branch = below(ended, "branch", PARENT)
    book = books(root, ended, branch, failed(branch, "bad", Policy.WAIT), below(root, "again"))

    after(book, "bad")

    assert told(book.log) == [("job.failed", "branch")]


# --- failing fast ------------------------------------------------------------------------------------


def chain(policies: Sequence[Policy], *, root: JobStatus = PARENT) -> list[JobState]:
    """A root above jobs with these policies, one below the other, of which the lowest has failed."""
    line = [a_job(status=root)]
    for depth, policy in enumerate(policies[:-1]):
        line.append(below(line[-1], f"above-{depth}", PARENT, policy))
    return [*line, failed(line[-1], "bad", policies[-1])]


@pytest.mark.parametrize("policies", [
    *product(Policy, repeat=1), *product(Policy, repeat=2), *product(Policy, repeat=3)
])  # fmt: skip
def test_a_flow_fails_fast_just_when_every_policy_up_to_the_root_hands_the_failure_on(
    policies: tuple[Policy, ...],
) -> None:
    line = chain(policies)
    book = running(*line, below(line[0], "other"), fail_fast=True)
    before = Books(book.jobs.values(), book.flows.values())

    after(book, "bad")

    bare, fast = policies[-1] is Policy.WAIT, all(policy in FATAL for policy in policies)
    above = dict.fromkeys((job.id for job in line[:-1]), "failed" if bare else "waiting-children")
    assert book.statuses() == {**above, "bad": "failed", "other": "cancelled" if fast else "waiting"}
    assert (book.flow.status is FlowStatus.FAILED) is bare
    assert_consistent(book, before)


@pytest.mark.parametrize("status", sorted(OPEN))
def test_failing_fast_cancels_whatever_does_not_run_and_is_not_above_the_failure(status: JobStatus) -> None:
    line = chain([Policy.FAIL, Policy.FAIL])
    beside = below(line[0], "beside", status)
    book = running(*line, beside, below(beside, "deeper", status), below(line[-1], "under", status), fail_fast=True)

    after(book, "bad")

    expected = "active" if status is ACTIVE else "cancelled"
    found = book.statuses()
    assert {name: found[name] for name in ("beside", "deeper", "under")} == dict.fromkeys(
        ("beside", "deeper", "under"), expected
    )
    assert {name: found[name] for name in ("root", "above-0")} == dict.fromkeys(("root", "above-0"), "waiting-children")
    if expected == "cancelled":
        assert (book.job("beside").error or {})["message"] == "the flow has failed, and it was to fail fast"


def test_a_flow_that_fails_fast_ends_when_the_worker_has_failed_its_root() -> None:
    line = chain([Policy.FAIL])
    book = running(*line, below(line[0], "other"), fail_fast=True)

    after(book, "bad")

    assert book.flow.status not in FLOW_ENDED
    assert told(book.log) == [("job.cancelled", "other")]
    assert book.flow.withdraw_due


@pytest.mark.parametrize("policy", FATAL)
def test_when_the_root_itself_fails_the_rest_is_cancelled(policy: Policy) -> None:
    root = a_job(status=FAILED, error=REASON, policy=policy)
    state = {"status": FlowStatus.FAILED, "finished_at": 50}
    book = running(root, below(root, "waits"), below(root, "runs", ACTIVE), fail_fast=True, **state)

    after(book, "root")

    assert book.statuses() == {"root": "failed", "waits": "cancelled", "runs": "active"}
    assert book.flow.finished_at == 50


def test_without_failing_fast_a_final_failure_leaves_the_others_alone() -> None:
    line = chain([Policy.FAIL])
    book = running(*line, below(line[0], "other"))

    assert after(book, "bad") is None


def test_a_failure_below_an_ended_job_cannot_fail_the_flow_fast() -> None:
    root = a_job(status=PARENT)
    done = below(root, "done", COMPLETED)
    book = running(root, done, failed(done, "bad"), below(root, "other"), fail_fast=True)

    assert after(book, "bad") is None


@pytest.mark.parametrize("first", ["one", "two"])
def test_several_failures_at_once_leave_the_jobs_above_each_of_them_to_their_reasons(first: str) -> None:
    root = a_job(status=PARENT)
    left, right = below(root, "left", PARENT), below(root, "right", PARENT)
    jobs = [failed(left, "one"), failed(right, "two"), below(left, "l"), below(right, "r")]
    book = running(root, left, right, *jobs, fail_fast=True)
    before = Books(book.jobs.values(), book.flows.values())

    after(book, first, *{"one", "two"} - {first})

    above = dict.fromkeys(("root", "left", "right"), "waiting-children")
    assert book.statuses() == {**above, "one": "failed", "two": "failed", "l": "cancelled", "r": "cancelled"}
    assert_consistent(book, before)


@pytest.mark.parametrize("first", ["plain", "bare"])
def test_a_bare_failure_beside_another_one_is_the_reason_of_the_flow_and_no_job_ends_twice(first: str) -> None:
    root = a_job(status=PARENT)
    left, right = below(root, "left", PARENT), below(root, "right", PARENT)
    jobs = [failed(left, "plain"), failed(right, "bare", Policy.WAIT), below(left, "l")]
    book = running(root, left, right, *jobs, fail_fast=True)
    before = Books(book.jobs.values(), book.flows.values())

    after(book, first, *{"plain", "bare"} - {first})

    assert book.statuses() == {
        "root": "failed", "left": "waiting-children", "right": "failed",
        "plain": "failed", "bare": "failed", "l": "cancelled",
    }  # fmt: skip
    assert (book.flow.error or {})["message"] == 'child "right" failed: child "bare" failed: broken'
    assert_consistent(book, before)


def test_what_is_above_an_ignored_failure_is_cancelled_by_a_fatal_one() -> None:
    root = a_job(status=PARENT)
    branch = below(root, "branch", PARENT)
    book = running(root, branch, failed(branch, "spared", Policy.IGNORE), failed(root, "fatal"), fail_fast=True)

    after(book, "spared", "fatal")

    assert book.statuses()["branch"] == "cancelled"


def test_an_ignored_failure_beside_a_fatal_one_does_not_stop_the_flow_from_failing_fast() -> None:
    root = a_job(status=PARENT)
    book = running(root, failed(root, "spared", Policy.IGNORE), failed(root, "fatal"), below(root, "o"), fail_fast=True)

    after(book, "spared", "fatal")

    assert book.statuses()["o"] == "cancelled"


# --- names of what has failed ------------------------------------------------------------------------


def test_the_message_of_a_long_chain_stays_short() -> None:
    line = chain([Policy.WAIT] * 90)
    book = running(*(replace(job, name="n" * 200) for job in line))

    after(book, "bad")

    assert max(len((job.error or {})["message"]) for job in book.jobs.values()) == 2_000
    assert (book.job("root").error or {})["originId"] == "bad"
