"""What a retry runs again, and how a flow looks that has been given its new run."""

from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bullflow.errors import Conflict
from bullflow.flow import retry
from bullflow.flow.facts import BEFORE_ALL, FactId, Json
from bullflow.flow.record import JobState
from bullflow.flow.retry import TO_RETRY
from bullflow.flow.states import ENDED, OPEN, FlowStatus, JobStatus, first_status
from bullflow.flow.tree import Policy
from support.books import Books, below, books
from support.histories import chances
from support.ledger import a_job

FAILED, CANCELLED, COMPLETED = JobStatus.FAILED, JobStatus.CANCELLED, JobStatus.COMPLETED
WAITING, ACTIVE, PARENT = JobStatus.WAITING, JobStatus.ACTIVE, JobStatus.WAITING_CHILDREN
FATAL = (Policy.FAIL, Policy.WAIT)
SPARING = (Policy.IGNORE, Policy.REMOVE, Policy.CONTINUE)


def again(*jobs: JobState) -> list[str]:
    """The ids of those that a retry of a flow with these jobs runs again."""
    return [job.id for job in retry.of_flow([job for job in jobs if job.status is not COMPLETED])]


# --- a flow as a whole -------------------------------------------------------------------------------


@pytest.mark.parametrize("status", sorted(TO_RETRY))
def test_what_failed_or_was_cancelled_runs_again_with_all_above_it_that_did(status: JobStatus) -> None:
    root = a_job(status=status)
    middle = below(root, "middle", status)

    assert again(root, middle, below(middle, "bad", status), below(root, "bad", status)) == [
        "root", "middle", "bad", "bad",
    ]  # fmt: skip


def test_what_has_completed_and_what_goes_on_do_not_run_again() -> None:
    root = a_job(status=FAILED)
    goes_on = [below(root, f"open-{status}", status) for status in sorted(OPEN)]

    assert again(root, below(root, "done", COMPLETED), below(root, "bad", FAILED), *goes_on) == ["root", "bad"]


@pytest.mark.parametrize("policy", list(Policy))
@pytest.mark.parametrize("parent", [COMPLETED, *sorted(OPEN - {PARENT})])
def test_a_failure_that_its_parent_has_come_to_terms_with_stays(parent: JobStatus, policy: Policy) -> None:
    root = a_job(status=FAILED)
    above = below(root, "above", parent)

    found = again(root, above, below(above, "spared", FAILED, policy))

    doomed = parent is not COMPLETED and policy in FATAL
    assert found == (["root", "above", "spared"] if doomed else ["root"])


def test_an_ignored_failure_runs_again_when_its_parent_does() -> None:
    root = a_job(status=FAILED)

    assert again(root, below(root, "spared", FAILED, Policy.IGNORE)) == ["root", "spared"]


@pytest.mark.parametrize("above", list(Policy))
@pytest.mark.parametrize("policy", FATAL)
def test_a_job_that_is_about_to_fail_because_of_one_that_is_about_to_fail_runs_again(
    policy: Policy, above: Policy
) -> None:
    """The engine has told of the first failure only; the others follow when workers take the jobs."""
    root = a_job(status=FAILED)
    upper = below(root, "upper", PARENT)
    lower = below(upper, "lower", WAITING, above)

    found = again(root, upper, lower, below(lower, "bad", FAILED, policy))

    assert found == (["root", "upper", "lower", "bad"] if above in FATAL else ["root"])


def test_a_flow_whose_root_completed_or_goes_on_has_nothing_to_retry() -> None:
    for status in (COMPLETED, *OPEN):
        root = a_job(status=status)
        assert again(root, below(root, "spared", FAILED, Policy.IGNORE)) == []


@st.composite
def trees(draw: st.DrawFn) -> list[JobState]:
    """Jobs in tree order, in whatever states, under whatever policies."""
    size = draw(st.integers(1, 14))
    jobs: list[JobState] = []
    for place in range(size):
        status, policy = draw(st.sampled_from(JobStatus)), draw(st.sampled_from(Policy))
        fields: dict[str, Any] = {
            "priority": draw(st.sampled_from((0, 3))),
            "attempts_made": draw(st.integers(0, 3)),
            "last_fact": FactId(draw(st.integers(1, 9)), 0),
        }
        if not place:
            jobs.append(a_job(status=status, **fields))
        else:
            parent = jobs[draw(st.integers(0, place - 1))]
            jobs.append(below(parent, f"job-{place}", status, policy, **fields))
    return jobs


def children(jobs: list[JobState], job: JobState) -> list[JobState]:
    return [child for child in jobs if child.parent_id == job.id]


def is_doomed(jobs: list[JobState], job: JobState) -> bool:
    """Whether one that has not ended can only fail, when a worker takes it."""
    return job.status in OPEN and any(
        child.policy in FATAL and (child.status in TO_RETRY or is_doomed(jobs, child)) for child in children(jobs, job)
    )


@settings(max_examples=300, deadline=None)
@given(trees())
def test_just_those_run_again_that_did_not_complete_whose_parents_do(jobs: list[JobState]) -> None:
    found = set(again(*jobs))

    for job in jobs:
        needed = job.is_root or job.parent_id in found
        assert (job.id in found) == (needed and (job.status in TO_RETRY or is_doomed(jobs, job)))


@settings(max_examples=100, deadline=None)
@given(trees(), chances())
def test_they_come_in_the_order_in_which_the_jobs_were_given_and_their_choice_does_not_depend_on_it(
    jobs: list[JobState], chance: Random
) -> None:
    shuffled = chance.sample(jobs, len(jobs))

    found = again(*shuffled)

    assert sorted(found) == sorted(again(*jobs))
    assert found == [job.id for job in shuffled if job.id in found]


# --- one job -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", sorted(TO_RETRY))
@pytest.mark.parametrize("above", sorted(ENDED))
def test_a_job_runs_again_with_every_job_above_it(status: JobStatus, above: JobStatus) -> None:
    root = a_job(status=above)
    middle = below(root, "middle", above)
    line = [root, middle, below(middle, "bad", status, Policy.IGNORE)]

    assert retry.of_job(line) == line
    assert retry.of_job([a_job(status=status)])[0].is_root


@pytest.mark.parametrize("status", [COMPLETED, *sorted(OPEN)])
def test_a_job_that_has_not_failed_is_not_retried(status: JobStatus) -> None:
    root = a_job(status=FAILED)

    with pytest.raises(Conflict, match=f"The job is {status}; only a job that has failed or was cancelled"):
        retry.of_job([root, below(root, "child", status)])


@pytest.mark.parametrize("policy", list(Policy))
@pytest.mark.parametrize("above", sorted(OPEN))
def test_a_job_whose_parent_goes_on_in_spite_of_it_is_not_retried_and_one_that_dooms_it_is(
    above: JobStatus, policy: Policy
) -> None:
    root = a_job(status=FAILED)
    parent = below(root, "parent", above)
    line = [root, parent, below(parent, "bad", FAILED, policy)]

    if policy in FATAL:
        assert retry.of_job(line) == line
    else:
        with pytest.raises(Conflict, match=f'The job "parent" above it is {above} and goes on without it'):
            retry.of_job(line)


@pytest.mark.parametrize("policy", list(Policy))
def test_doom_is_handed_on_from_one_job_that_has_not_ended_to_the_next(policy: Policy) -> None:
    root = a_job(status=FAILED)
    upper = below(root, "upper", PARENT)
    lower = below(upper, "lower", WAITING, policy)
    line = [root, upper, lower, below(lower, "bad", FAILED)]

    if policy in FATAL:
        assert retry.of_job(line) == line
    else:
        with pytest.raises(Conflict, match='"upper" above it is waiting-children'):
            retry.of_job(line)


def test_a_job_above_which_one_goes_on_with_the_result_of_another_is_not_retried() -> None:
    """What ran in spite of the failure has completed, and its own parent goes on with that."""
    root = a_job(status=FAILED)
    runs = below(root, "runs", ACTIVE)
    done = below(runs, "done", COMPLETED)
    line = [root, runs, done, below(done, "spared", FAILED, Policy.IGNORE)]

    with pytest.raises(Conflict, match='The job "runs" above it is active and goes on without it'):
        retry.of_job(line)


@settings(max_examples=200, deadline=None)
@given(trees(), st.integers(0, 13))
def test_a_retry_of_one_job_never_takes_away_one_that_can_still_complete(jobs: list[JobState], pick: int) -> None:
    book = books(*jobs)
    line = book.line(jobs[pick % len(jobs)].id)
    hopeful = [
        parent
        for below_it, parent in zip(line[1:], line[:-1], strict=True)
        if parent.status in OPEN
        and not (below_it.policy in FATAL and (below_it.status in TO_RETRY or is_doomed(line, below_it)))
    ]

    if line[-1].status in TO_RETRY and not hopeful:
        assert retry.of_job(line) == line
    else:
        with pytest.raises(Conflict):
            retry.of_job(line)


# --- the new run -------------------------------------------------------------------------------------


def ended_flow(*jobs: JobState, **fields: Any) -> Books:
    state = {"status": FlowStatus.FAILED, "error": {"message": "x"}, "finished_at": 50, "dispatch_due": False}
    return books(*jobs, **{**state, "last_seq": 7, "updated_at": 50, **fields})


def test_a_job_that_runs_again_begins_afresh_under_its_next_number() -> None:
    root = a_job(
        status=FAILED,
        attempts_made=3,
        last_fact=FactId(40, 2),
        updated_at=50,
        started_at=40,
        finished_at=50,
        error={"message": "x"},
        result=Json("1"),
        progress=Json("9"),
        worker="host",
    )
    book = ended_flow(root)

    changes = book.reopen([root], now=80)

    assert changes.jobs == (JobState(
        id="root", job_id="root-2", flow_id="flow", depth=0, priority=0, status=WAITING, updated_at=80,
    ),)  # fmt: skip
    assert (changes.jobs[0].last_fact, changes.jobs[0].run) == (BEFORE_ALL, 2)


def test_a_flow_that_runs_again_waits_for_its_dispatch_and_has_no_end() -> None:
    root = a_job(status=FAILED)
    book = ended_flow(root, below(root, "bad", CANCELLED))

    book.reopen(book.unfinished(), now=80)

    flow = book.flow
    assert (flow.status, flow.dispatch_due, flow.withdraw_due) == (FlowStatus.WAITING, True, False)
    assert (flow.finished_at, flow.error, flow.updated_at, flow.last_seq) == (None, None, 80, 10)


def test_the_log_tells_the_retry_and_then_each_job_with_its_run() -> None:
    root = a_job(status=FAILED)
    book = ended_flow(root, below(root, "done", COMPLETED), below(root, "bad", FAILED), below(root, "later", CANCELLED))

    book.reopen(retry.of_flow(book.unfinished()), now=80, delays={"later": 500, "done": 500})

    assert [(entry.seq, entry.at, entry.event, entry.job_id, entry.data) for entry in book.log] == [
        (8, 80, "flow.retried", None, {"status": "waiting", "jobs": 3}),
        (9, 80, "job.waiting", "root-2", {"status": "waiting-children", "run": 2}),
        (10, 80, "job.waiting", "bad-2", {"status": "waiting", "run": 2}),
        (11, 80, "job.delayed", "later-2", {"status": "delayed", "run": 2}),
    ]


@pytest.mark.parametrize(
    ("child", "status"),
    [(None, "waiting"), (COMPLETED, "waiting"), (FAILED, "waiting-children"), (ACTIVE, "waiting-children")],
    ids=["without children", "all done", "one runs again", "one runs on"],
)
def test_a_parent_waits_for_children_that_run_again_or_run_on_and_not_for_those_that_are_done(
    child: JobStatus | None, status: str
) -> None:
    root = a_job(status=FAILED)
    book = ended_flow(root, *([below(root, "child", child)] if child else []))

    book.reopen(retry.of_flow(book.unfinished()), now=80)

    assert book.statuses()["root"] == status


@settings(max_examples=200, deadline=None)
@given(trees(), chances())
def test_any_flow_is_reopened_with_right_counts_states_runs_and_numbers(jobs: list[JobState], chance: Random) -> None:
    book = ended_flow(*jobs)
    chosen = retry.of_flow(book.unfinished())
    delays = {job.id: chance.choice((0, 500)) for job in jobs}
    before = dict(book.jobs)

    book.reopen(chosen, now=80, delays=delays)

    names = {job.id for job in chosen}
    open_before = {job.id for job in before.values() if job.status in OPEN}
    for job in before.values():
        now = book.job(job.id)
        if job.id not in names:
            assert now == job
            continue
        waited_for = {child.id for child in children(jobs, job)} & (names | open_before)
        expected = first_status(has_children=bool(waited_for), delay=delays[job.id], priority=job.priority)
        assert (now.run, now.status) == (job.run + 1, expected)
    counts, real = book.flow.counts, book.real_counts("flow")
    assert all(counts.get(status, 0) == real.get(status, 0) for status in JobStatus)
    assert [entry.seq for entry in book.log] == list(range(8, 9 + len(chosen)))
    assert [(entry.id, entry.data["status"], entry.data["run"]) for entry in book.log[1:]] == [
        (job.id, book.job(job.id).status, job.run + 1) for job in chosen
    ]
