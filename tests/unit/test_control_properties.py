"""What holds of every flow, whatever happens to it.

Its jobs run, fail, stall and are removed, while it is dispatched, recorded, cancelled, late and retried by
processes that overtake each other.
"""

from collections import Counter

from hypothesis import HealthCheck, event, given, settings

from bullflow.flow.facts import FactId
from bullflow.flow.states import ENDED, FLOW_ENDED, JobStatus, LogEvent
from bullflow.flow.tree import Policy
from support.ledger import nothing
from support.worlds import World, worlds

FLOW_ENDS = {LogEvent.FLOW_COMPLETED, LogEvent.FLOW_FAILED, LogEvent.FLOW_CANCELLED}
JOB_ENDS = {LogEvent.JOB_COMPLETED, LogEvent.JOB_FAILED, LogEvent.JOB_CANCELLED}
FATAL = (Policy.FAIL, Policy.WAIT)
budget = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@budget
@given(worlds())
def test_every_flow_ends_and_with_it_every_job(world: World) -> None:
    """Nothing waits for ever; what was withdrawn for certain, or belongs to an older run, never starts (see World)."""
    world.live()

    book = world.books
    event(f"{book.flow.status}, retried {sum(entry.event is LogEvent.FLOW_RETRIED for entry in book.log)} times")
    assert book.flow.status in FLOW_ENDED
    assert all(job.status in ENDED for job in book.jobs.values()), book.statuses()
    assert (book.flow.dispatch_due, book.flow.withdraw_due) == (False, False)


@budget
@given(worlds())
def test_a_flows_log_counts_on_without_a_gap_and_never_back(world: World) -> None:
    world.live()

    book = world.books
    assert [entry.seq for entry in book.log] == list(range(2, 2 + len(book.log)))
    assert book.flow.last_seq == len(book.log) + 1


@budget
@given(worlds())
def test_each_run_of_a_job_and_of_the_flow_ends_at_most_once(world: World) -> None:
    world.live()

    ends = Counter(entry.job_id for entry in world.books.log if entry.event in JOB_ENDS)
    assert max(ends.values(), default=0) <= 1
    flow_events = [entry.event for entry in world.books.log if entry.event in {*FLOW_ENDS, LogEvent.FLOW_RETRIED}]
    assert all(event in FLOW_ENDS for event in flow_events[::2])
    assert all(event is LogEvent.FLOW_RETRIED for event in flow_events[1::2])
    assert len(flow_events) % 2 == 1


@budget
@given(worlds())
def test_the_counts_are_the_real_counts_after_every_change(world: World) -> None:
    for _ in world.lives():
        real = world.books.real_counts("flow")
        counts = world.books.flow.counts
        assert all(counts.get(status, 0) == real.get(status, 0) for status in JobStatus)


@budget
@given(worlds())
def test_the_log_replayed_gives_the_states_and_the_runs(world: World) -> None:
    told = {job.id: (job.job_id, job.status) for job in world.books.jobs.values()}

    world.live()

    for entry in world.books.log:
        if entry.id is not None and entry.job_id is not None:
            told[entry.id] = (entry.job_id, JobStatus(entry.data["status"]))
    assert told == {job.id: (job.job_id, job.status) for job in world.books.jobs.values()}
    ends = [entry for entry in world.books.log if entry.event in FLOW_ENDS]
    assert ends[-1].data["status"] == world.books.flow.status


@budget
@given(worlds())
def test_what_is_heard_of_an_older_run_changes_nothing(world: World) -> None:
    for _ in world.lives():
        runs = {job.job_id for job in world.books.jobs.values()}
        late = [fact._replace(id=FactId(world.engine.now + 1, 0)) for fact in world.engine.facts]
        late = [fact for fact in late if fact.job_id not in runs]
        if late:
            assert nothing(world.books.record(late))


@budget
@given(worlds())
def test_the_numbers_of_runs_grow_by_one_and_only_with_a_retry(world: World) -> None:
    world.live()

    retries = sum(entry.event is LogEvent.FLOW_RETRIED for entry in world.books.log)
    for job in world.books.jobs.values():
        runs = [entry.data["run"] for entry in world.books.log if entry.id == job.id and "run" in entry.data]
        assert runs == list(range(2, job.run + 1))
        assert len(runs) <= retries


@budget
@given(worlds(wishes=("cancel", "expire", "retry")))
def test_no_retry_of_a_flow_runs_a_job_again_that_has_completed(world: World) -> None:
    world.live()

    completed = Counter(entry.id for entry in world.books.log if entry.event is LogEvent.JOB_COMPLETED)
    assert max(completed.values(), default=0) <= 1


@budget
@given(worlds(wishes=()))
def test_a_flow_that_nobody_touches_ends_as_its_root_does_and_its_root_as_its_children_let_it(world: World) -> None:
    world.live()

    book = world.books
    assert book.flow.status.value == book.job("root").status.value
    fatal = [job for job in book.jobs.values() if job.status is JobStatus.FAILED and job.policy in FATAL]
    for job in fatal:
        if job.parent_id is not None:
            parent = book.job(job.parent_id)
            assert parent.status in {JobStatus.FAILED, JobStatus.CANCELLED}
