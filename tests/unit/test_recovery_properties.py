"""What holds of every flow although the engine is wiped, goes back in time, loses jobs or events, and processes crash.

What is recorded as ended does not begin again, once the engine has been compared with the store: `World` asserts it.
"""

from collections import Counter

from hypothesis import HealthCheck, event, given, settings

from bullflow.flow.record import Entry
from bullflow.flow.states import ENDED, FLOW_ENDED, JobStatus, LogEvent
from support.worlds import LOSSES, WISHES, World, worlds

JOB_ENDS = {LogEvent.JOB_COMPLETED, LogEvent.JOB_FAILED, LogEvent.JOB_CANCELLED}
budget = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
lossy = worlds(wishes=(*LOSSES, *LOSSES, *WISHES))


def written(world: World, *events: LogEvent) -> list[Entry]:
    return [entry for entry in world.books.log if entry.event in events]


@budget
@given(lossy)
def test_every_flow_ends_and_with_it_every_job(world: World) -> None:
    world.live()

    book = world.books
    event(f"{book.flow.status}, recovered {len(written(world, LogEvent.FLOW_RECOVERED))} times")
    assert book.flow.status in FLOW_ENDED
    assert all(job.status in ENDED for job in book.jobs.values()), book.statuses()
    assert (book.flow.dispatch_due, book.flow.withdraw_due) == (False, False)
    assert not world.in_doubt


@budget
@given(lossy)
def test_the_log_has_no_gap_and_each_run_one_end(world: World) -> None:
    world.live()

    assert [entry.seq for entry in world.books.log] == list(range(2, 2 + len(world.books.log)))
    ends = Counter(entry.job_id for entry in written(world, *JOB_ENDS))
    assert max(ends.values(), default=0) <= 1


@budget
@given(worlds(wishes=LOSSES))
def test_no_loss_makes_a_job_complete_twice_or_takes_its_result_away(world: World) -> None:
    world.live()

    completed = Counter(entry.id for entry in written(world, LogEvent.JOB_COMPLETED))
    assert max(completed.values(), default=0) <= 1
    for job in world.books.jobs.values():
        assert (job.result is not None) == (job.status is JobStatus.COMPLETED) == bool(completed[job.id])


@budget
@given(lossy)
def test_a_job_gets_a_new_run_only_with_a_retry_or_a_recovery(world: World) -> None:
    world.live()

    again = len(written(world, LogEvent.FLOW_RETRIED, LogEvent.FLOW_RECOVERED))
    for job in world.books.jobs.values():
        runs = [entry.data["run"] for entry in world.books.log if entry.id == job.id and "run" in entry.data]
        assert runs == list(range(2, job.run + 1))
        assert len(runs) <= again
