"""What is dispatched: the unfinished part of a flow, with what its ended children left behind."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bullflow.flow.facts import Json
from bullflow.flow.plan import Branch, StoredJob, unfinished
from bullflow.flow.record import REMOVED
from bullflow.flow.states import ENDED, OPEN, JobStatus


def a_job(name: str, parent: str | None, status: JobStatus = JobStatus.WAITING, **fields: Any) -> StoredJob:
    values: dict[str, Any] = {"queue_name": "q", "data": Json("{}"), "opts": {}, "created_at": 0, **fields}
    return StoredJob(id=name, job_id=f"{name}-1", flow_id="flow", parent_id=parent, name=name, status=status, **values)


def drawn(branch: Branch) -> Any:
    """A branch as nested names: (job, branches below, ended below)."""
    return branch.job.id, [drawn(child) for child in branch.children], [job.id for job in branch.ended]


def test_a_new_flow_is_dispatched_whole_in_the_order_of_the_request() -> None:
    jobs = [a_job("root", None), a_job("a", "root"), a_job("a1", "a"), a_job("b", "root")]

    branch = unfinished(jobs)

    assert branch is not None
    assert drawn(branch) == ("root", [("a", [("a1", [], [])], []), ("b", [], [])], [])
    assert branch.size == 4


def test_its_parents_are_the_jobs_with_anything_below_them() -> None:
    done, lost = a_job("done", "b", JobStatus.COMPLETED), a_job("lost", "c", JobStatus.FAILED)
    jobs = [a_job("root", None), a_job("a", "root"), a_job("a1", "a"), a_job("b", "root"), done, a_job("c", "a1"), lost]

    branch = unfinished(jobs)

    assert branch is not None
    assert [parent.job.id for parent in branch.parents()] == ["root", "a", "a1", "c", "b"]
    assert [parent.job.id for parent in branch.without({"a-1", "b-1"}).parents()] == ["root"]


def test_ended_children_are_not_run_again_but_go_along_with_what_they_left() -> None:
    done = a_job("done", "root", JobStatus.COMPLETED, result=Json("1"))
    failed = a_job("failed", "root", JobStatus.FAILED, error={"message": "broken"})

    branch = unfinished([a_job("root", None), done, a_job("open", "root"), failed])

    assert branch is not None
    assert drawn(branch) == ("root", [("open", [], [])], ["done", "failed"])
    assert branch.ended == (done, failed)
    assert branch.size == 2


@pytest.mark.parametrize(
    ("status", "message", "blocks"),
    [
        (JobStatus.FAILED, "broken", True),
        (JobStatus.CANCELLED, "the flow was cancelled", True),
        (JobStatus.CANCELLED, REMOVED, False),
        (JobStatus.COMPLETED, None, False),
    ],
)
def test_a_parent_can_only_fail_below_which_a_child_has_ended_badly_unless_the_child_was_removed(
    status: JobStatus, message: str | None, *, blocks: bool
) -> None:
    child = a_job("child", "root", status, opts={"failParentOnFailure": True}, error={"message": message})

    branch = unfinished([a_job("root", None), child])

    assert branch is not None
    assert (branch.blocker is not None) == blocks


def test_below_an_ended_job_nothing_is_dispatched() -> None:
    jobs = [a_job("root", None), a_job("done", "root", JobStatus.COMPLETED), a_job("straggler", "done")]

    branch = unfinished(jobs)

    assert branch is not None
    assert drawn(branch) == ("root", [], ["done"])


@pytest.mark.parametrize("status", sorted(OPEN))
def test_whatever_has_not_ended_is_dispatched(status: JobStatus) -> None:
    branch = unfinished([a_job("root", None, JobStatus.WAITING_CHILDREN), a_job("child", "root", status)])

    assert branch is not None
    assert drawn(branch) == ("root", [("child", [], [])], [])


@pytest.mark.parametrize("status", sorted(ENDED))
def test_of_a_flow_whose_root_has_ended_nothing_is_dispatched(status: JobStatus) -> None:
    assert unfinished([a_job("root", None, status), a_job("child", "root")]) is None


def test_of_no_jobs_nothing_is_dispatched() -> None:
    assert unfinished([]) is None


def test_a_flow_as_deep_as_settings_allow_is_planned() -> None:
    jobs = [a_job(str(depth), str(depth - 1) if depth else None) for depth in range(120)]

    branch = unfinished(jobs)

    assert branch is not None
    assert branch.size == 120


@st.composite
def flows(draw: st.DrawFn) -> list[StoredJob]:
    """A tree in an order in which parents come before their children."""
    statuses = draw(st.lists(st.sampled_from(JobStatus), min_size=1, max_size=20))
    parents = [draw(st.integers(0, place - 1)) if place else None for place in range(len(statuses))]
    return [
        a_job(str(place), None if parent is None else str(parent), status)
        for place, (parent, status) in enumerate(zip(parents, statuses, strict=True))
    ]


@settings(max_examples=200, deadline=None)
@given(flows())
def test_just_the_open_jobs_below_open_jobs_are_dispatched_each_once(jobs: list[StoredJob]) -> None:
    by_id = {job.id: job for job in jobs}

    def is_open_up_to_the_root(job: StoredJob) -> bool:
        return job.status not in ENDED and (job.parent_id is None or is_open_up_to_the_root(by_id[job.parent_id]))

    branch = unfinished(jobs)

    planned = [] if branch is None else list(walk(branch))
    assert sorted(one.job.id for one in planned) == sorted(job.id for job in jobs if is_open_up_to_the_root(job))
    assert (branch.size if branch else 0) == len(planned)
    for one in planned:
        below = [job for job in jobs if job.parent_id == one.job.id]
        assert [child.job for child in one.children] == [job for job in below if job.status not in ENDED]
        assert list(one.ended) == [job for job in below if job.status in ENDED]


def walk(branch: Branch) -> list[Branch]:
    return [branch, *(one for child in branch.children for one in walk(child))]
