"""What differs between store and engine, and what is decided about it."""

import pytest

from bullflow.flow.audit import AuditedJob, Drift, Presence, Sign, compare
from bullflow.flow.facts import BEFORE_ALL
from bullflow.flow.recovery import recover
from bullflow.flow.states import JobStatus
from support.books import Books, below, books
from support.ledger import a_job

PARENT, ACTIVE, WAITING = JobStatus.WAITING_CHILDREN, JobStatus.ACTIVE, JobStatus.WAITING


def audited(job_id: str, status: JobStatus, *, is_due: bool = False) -> AuditedJob:
    name, _, _ = job_id.rpartition("-")
    return AuditedJob(
        id=name,
        job_id=job_id,
        flow_id="flow",
        queue_name="q",
        status=status,
        is_root=name == "root",
        is_parent=False,
        last_fact=BEFORE_ALL,
        is_due=is_due,
    )


def drift(job: AuditedJob, presence: Presence, **earlier: Presence) -> Drift | None:
    seen = {job.job_id: presence, **{key.replace("_", "-"): found for key, found in earlier.items()}}
    found = compare([job], seen)
    return found[0] if found else None


@pytest.mark.parametrize(
    ("status", "presence"),
    [
        (WAITING, Presence.WAITING),
        (ACTIVE, Presence.ACTIVE),
        (ACTIVE, Presence.WAITING),  # its worker may have died, which BullMQ is about to tell
        (JobStatus.PRIORITIZED, Presence.WAITING),  # it has stalled
        (PARENT, Presence.WAITING_CHILDREN),
        (PARENT, Presence.DOOMED),
        (JobStatus.COMPLETED, Presence.ENDED),
        (JobStatus.COMPLETED, Presence.GONE),
        (JobStatus.CANCELLED, Presence.DOOMED),
    ],
)
def test_where_both_may_be_right_nothing_differs(status: JobStatus, presence: Presence) -> None:
    assert drift(audited("a-1", status), presence) is None


def test_each_kind_of_drift_is_told_from_the_others() -> None:
    for presence, kind in ((Presence.ENDED, "unheard"), (Presence.GONE, "lost"), (Presence.STUCK, "stuck")):
        found = drift(audited("a-1", PARENT), presence)
        assert found is not None
        assert [name for name in ("unheard", "lost", "stuck", "revenants") if getattr(found, name)] == [kind]
    again = drift(audited("a-2", JobStatus.COMPLETED), Presence.ACTIVE)
    older = drift(audited("a-3", ACTIVE), Presence.ACTIVE, a_2=Presence.WAITING, a_1=Presence.ENDED)
    assert again is not None
    assert older is not None
    assert (again.needs_recovery, older.needs_recovery) == (True, False)
    assert [job_id for _, job_id in older.revenants] == ["a-2"]


def test_a_flow_that_is_due_may_lack_its_jobs_but_not_run_what_has_ended() -> None:
    assert drift(audited("a-1", WAITING, is_due=True), Presence.GONE) is None
    found = drift(audited("a-1", JobStatus.COMPLETED, is_due=True), Presence.WAITING)
    assert found is not None
    assert (bool(found.revenants), found.needs_recovery, found.all_gone) == (True, False, False)


@pytest.mark.parametrize(
    ("mark", "server", "doubted"),
    [(7, "a", False), (8, "a", False), (6, "a", True), (None, "a", True), (8, "b", True), (8, None, False)],
)
def test_an_engine_is_doubted_that_shows_less_than_it_had_or_another_life(
    mark: int | None, server: str | None, *, doubted: bool
) -> None:
    assert (Sign(mark=7, server="a").doubt(mark, server) is not None) == doubted


# --- recovery ----------------------------------------------------------------------------------------


def a_flow() -> Books:
    """A root that waits for `left`, which runs, and `bad`, which has failed and is ignored; `orphan` is below that."""
    root = a_job(status=PARENT)
    left, bad = below(root, "left", ACTIVE), below(root, "bad", JobStatus.FAILED)
    return books(root, left, bad, below(bad, "orphan", ACTIVE), dispatch_due=False)


def seen(book: Books, **presences: Presence) -> Drift:
    jobs = [audited(job.job_id, job.status) for job in book.jobs.values()]
    usual = {PARENT: Presence.WAITING_CHILDREN, ACTIVE: Presence.ACTIVE}
    found = compare(jobs, {job.job_id: presences.get(job.id, usual.get(job.status, Presence.ENDED)) for job in jobs})
    assert len(found) == 1
    return found[0]


def test_what_a_parent_waits_for_begins_anew_and_what_nobody_waits_for_goes_on() -> None:
    book = a_flow()

    changes = book.recover(seen(book, left=Presence.GONE), {}, 5, all_gone=False)

    assert changes is not None
    assert book.statuses() == {"root": "waiting-children", "left": "waiting", "bad": "failed", "orphan": "active"}
    assert {job.id: job.run for job in book.jobs.values()} == {"root": 2, "left": 2, "bad": 1, "orphan": 1}
    assert (book.flow.dispatch_due, book.flow.withdraw_due) == (True, True)


def test_a_lost_job_that_nobody_waits_for_is_cancelled_and_restarts_nobody() -> None:
    book = a_flow()

    book.recover(seen(book, orphan=Presence.GONE), {}, 5, all_gone=False)

    assert book.statuses()["orphan"] == "cancelled"
    assert {job.run for job in book.jobs.values()} == {1}
    assert not book.flow.dispatch_due


def test_of_two_repairs_of_the_same_drift_the_second_does_nothing() -> None:
    book = a_flow()
    drift_of_both = seen(book, left=Presence.GONE, bad=Presence.WAITING)

    first = book.recover(drift_of_both, {}, 5, all_gone=True)
    due = recover(book.flow, drift_of_both, book.open_jobs(), {}, 6, all_gone=True)
    book.flows["flow"] = a_flow().flow
    later = recover(book.flow, drift_of_both, [job for job in book.open_jobs() if job.run == 2], {}, 6, all_gone=True)

    assert first is not None
    assert (due, later) == (None, None)
