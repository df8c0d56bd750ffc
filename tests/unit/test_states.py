"""The move table, its closure, and the drawing of it in docs/states.md."""

import re
from pathlib import Path

import pytest

from bullflow.flow.facts import FactKind
from bullflow.flow.states import (
    ENDED,
    FLOW_ENDED,
    MOVES,
    OPEN,
    FlowStatus,
    JobStatus,
    LogEvent,
    first_status,
    flow_status_of,
    may_become,
    queued_status,
)

DRAWING = Path(__file__).parents[2] / "docs" / "states.md"


def test_the_move_table_is_total() -> None:
    assert set(MOVES) == set(JobStatus)


@pytest.mark.parametrize("status", sorted(ENDED))
def test_an_ended_state_has_no_moves(status: JobStatus) -> None:
    assert MOVES[status] == frozenset()
    assert not any(may_become(status, then) for then in JobStatus)


@pytest.mark.parametrize("status", sorted(OPEN))
def test_an_open_state_can_be_cancelled_and_can_reach_every_end(status: JobStatus) -> None:
    assert JobStatus.CANCELLED in MOVES[status]
    assert all(may_become(status, end) for end in ENDED)


def test_a_state_is_open_or_ended() -> None:
    assert set(JobStatus) == OPEN | ENDED
    assert not OPEN & ENDED


def test_no_state_moves_to_itself() -> None:
    assert not any(status in MOVES[status] or may_become(status, status) for status in JobStatus)


def test_only_an_active_job_completes_and_only_one_that_waits_for_children_fails_without_running() -> None:
    def before(end: JobStatus) -> set[JobStatus]:
        return {status for status in JobStatus if end in MOVES[status]}

    assert before(JobStatus.COMPLETED) == {JobStatus.ACTIVE}
    assert before(JobStatus.FAILED) == {JobStatus.ACTIVE, JobStatus.WAITING_CHILDREN}


@pytest.mark.parametrize("now", list(JobStatus))
@pytest.mark.parametrize("then", list(JobStatus))
def test_may_become_is_the_closure_of_the_moves(now: JobStatus, then: JobStatus) -> None:
    assert may_become(now, then) == (now is not then and path_exists(now, then, frozenset()))


def path_exists(now: JobStatus, then: JobStatus, seen: frozenset[JobStatus]) -> bool:
    return then in MOVES[now] or any(path_exists(step, then, seen | {now}) for step in MOVES[now] - seen - {now})


def test_every_state_is_drawn_and_every_drawn_arrow_is_a_move() -> None:
    drawn = arrows()

    assert {(now, then) for now, then in drawn if "[*]" not in (now, then)} == {
        (now.value, then.value) for now in JobStatus for then in MOVES[now]
    }


def test_the_drawing_begins_and_ends_as_jobs_do() -> None:
    firsts = {
        first_status(has_children=has_children, delay=delay, priority=priority)
        for has_children in (True, False)
        for delay in (0, 1)
        for priority in (0, 1)
    }

    assert {then for now, then in arrows() if now == "[*]"} == firsts
    assert {now for now, then in arrows() if then == "[*]"} == ENDED


def arrows() -> list[tuple[str, str]]:
    """The arrows of the mermaid drawing; each is drawn once."""
    mermaid = re.search(r"```mermaid\nstateDiagram-v2\n(.*?)```", DRAWING.read_text(), re.DOTALL)
    assert mermaid is not None
    names = {alias: name for name, alias in re.findall(r'state "(\S+)" as (\w+)', mermaid[1])}
    found = [(names.get(a, a), names.get(b, b)) for a, b in re.findall(r"^\s*(\S+) --> (\S+)$", mermaid[1], re.M)]
    assert len(found) == len(set(found))
    return found


@pytest.mark.parametrize(
    ("has_children", "delay", "priority", "status"),
    [
        (False, 0, 0, JobStatus.WAITING),
        (False, 0, 5, JobStatus.PRIORITIZED),
        (False, 1, 5, JobStatus.DELAYED),
        (True, 1, 5, JobStatus.WAITING_CHILDREN),
    ],
)
def test_a_job_begins_where_bullmq_puts_it(has_children: bool, delay: int, priority: int, status: JobStatus) -> None:
    assert first_status(has_children=has_children, delay=delay, priority=priority) is status


def test_a_job_with_a_priority_is_queued_among_the_prioritized() -> None:
    assert (queued_status(0), queued_status(1)) == (JobStatus.WAITING, JobStatus.PRIORITIZED)


@pytest.mark.parametrize("root", list(JobStatus))
def test_a_flow_ends_as_its_root_does(root: JobStatus) -> None:
    ended = flow_status_of(root)

    assert (ended in FLOW_ENDED) == (root in ENDED)
    assert ended is None or ended.value == root.value


def test_every_end_has_an_entry_in_the_log() -> None:
    events = {event.value for event in LogEvent}

    assert {f"job.{status}" for status in ENDED} | {f"flow.{status}" for status in FLOW_ENDED} <= events


def test_the_words_are_bullmqs_own() -> None:
    shared = {status.value for status in JobStatus} & {kind.value for kind in FactKind}

    assert shared == {"waiting", "waiting-children", "delayed", "active", "completed", "failed"}
    assert {status.value for status in FlowStatus} == {"waiting", "active", "completed", "failed", "cancelled"}
