"""What the fold promises, whatever arrives, in whatever order and however often."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from random import Random

from hypothesis import HealthCheck, event, given, settings

from bullflow.flow.facts import BEFORE_ALL, FactId
from bullflow.flow.fold import fold
from bullflow.flow.record import Entry, FlowState
from bullflow.flow.states import ENDED, FLOW_ENDED, JobStatus, LogEvent
from support.delivery import by_millisecond, in_batches, in_disorder
from support.histories import History, chances, histories
from support.ledger import Ledger

JOB_ENDS = {LogEvent.JOB_COMPLETED, LogEvent.JOB_FAILED, LogEvent.JOB_CANCELLED}
FLOW_ENDS = {LogEvent.FLOW_COMPLETED, LogEvent.FLOW_FAILED, LogEvent.FLOW_CANCELLED}

budget = settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def ledger_of(history: History) -> Ledger:
    return Ledger(history.jobs, history.flows)


def in_disarray(history: History, chance: Random) -> Ledger:
    return ledger_of(history).record_all(in_disorder(history, chance))


# --- whatever arrives -------------------------------------------------------------------------------


@budget
@given(histories(), chances())
def test_a_flows_log_counts_on_without_a_gap(history: History, chance: Random) -> None:
    ledger = in_disarray(history, chance)

    for flow in history.flows:
        seqs = [entry.seq for entry in ledger.entries(flow.id)]
        assert seqs == list(range(flow.last_seq + 1, flow.last_seq + 1 + len(seqs)))
        assert ledger.flows[flow.id].last_seq == flow.last_seq + len(seqs)


@budget
@given(histories(), chances())
def test_each_run_of_a_job_and_each_flow_ends_at_most_once(history: History, chance: Random) -> None:
    ledger = in_disarray(history, chance)

    job_ends = Counter(entry.job_id for entry in ledger.log if entry.event in JOB_ENDS)
    flow_ends = Counter(entry.flow_id for entry in ledger.log if entry.event in FLOW_ENDS)
    assert max(job_ends.values(), default=0) <= 1
    assert max(flow_ends.values(), default=0) <= 1
    assert set(job_ends) == {key for key, job in ledger.jobs.items() if job.status in ENDED}
    assert set(flow_ends) == {key for key, flow in ledger.flows.items() if flow.status in FLOW_ENDED}


@budget
@given(histories(), chances())
def test_a_job_that_has_ended_never_changes_again(history: History, chance: Random) -> None:
    ledger = ledger_of(history)

    for batch in in_disorder(history, chance):
        ended = {key: job for key, job in ledger.jobs.items() if job.status in ENDED}
        changes = ledger.record(batch)
        assert not ended.keys() & {job.job_id for job in (*changes.jobs, *changes.progress)}
        assert not ended.keys() & {entry.job_id for entry in changes.entries}


@budget
@given(histories(), chances())
def test_a_job_whose_last_move_was_read_is_in_its_true_state(history: History, chance: Random) -> None:
    """Except for a job that was never seen to leave its first state: facts that repeat it are not kept in mind."""
    ledger, newest, read = ledger_of(history), dict[str, FactId](), set[tuple[str, FactId]]()

    for batch in in_disorder(history, chance):
        known = dict(newest)
        ledger.record(batch)
        for fact in (fact for fact in batch if fact.job_id in ledger.jobs):
            newest[fact.job_id] = max(newest.get(fact.job_id, fact.id), fact.id)
            has_moved = ledger.jobs[fact.job_id].last_fact != BEFORE_ALL
            if has_moved and fact.id > known.get(fact.job_id, BEFORE_ALL):
                read.add((fact.job_id, fact.id))

    for key, truth in history.truth.items():
        if truth.last_move is not None and (key, truth.last_move) in read:
            job = ledger.jobs[key]
            assert job.status is truth.status
            if truth.status in ENDED:
                assert job.result == truth.result
                assert (job.error or {}).get("message") == truth.error
                assert job.finished_at == truth.last_move.ms


@budget
@given(histories(), chances())
def test_counts_are_the_real_counts_after_each_batch(history: History, chance: Random) -> None:
    ledger = ledger_of(history)

    for batch in in_disorder(history, chance):
        ledger.record(batch)
        for key, flow in ledger.flows.items():
            real = ledger.real_counts(key)
            assert all(flow.counts.get(status, 0) == real.get(status, 0) for status in JobStatus)
            assert min(flow.counts.values()) >= 0


@budget
@given(histories(), chances())
def test_a_batch_that_is_read_a_second_time_changes_nothing(history: History, chance: Random) -> None:
    ledger = ledger_of(history)

    for batch in in_disorder(history, chance):
        ledger.record(batch)
        again = ledger.record(batch)
        assert (again.jobs, again.flows, again.entries, again.progress) == ((), (), (), ())


@budget
@given(histories(), chances())
def test_the_log_alone_tells_the_states_that_it_names(history: History, chance: Random) -> None:
    ledger = in_disarray(history, chance)

    told = {job.job_id: job.status for job in history.jobs}
    for entry in ledger.log:
        if entry.job_id is not None:
            told[entry.job_id] = JobStatus(entry.data["status"])
    for key, job in ledger.jobs.items():
        if job.status is not JobStatus.WAITING_CHILDREN:
            assert told[key] is job.status
    for key, flow in ledger.flows.items():
        assert told_of_flow(ledger.entries(key)) == flow.status


def told_of_flow(entries: list[Entry]) -> str:
    """The flow's state as one reads it from its log: active with the first job that runs, until it ends."""
    for entry in entries:
        if entry.event in FLOW_ENDS:
            return str(entry.data["status"])
    ran = {LogEvent.JOB_ACTIVE, LogEvent.JOB_COMPLETED, LogEvent.JOB_FAILED}
    return "active" if any(entry.event in ran for entry in entries) else "waiting"


@budget
@given(histories(), chances())
def test_a_flow_is_dispatched_at_most_once_and_not_after_its_end(history: History, chance: Random) -> None:
    ledger = in_disarray(history, chance)

    for key, flow in ledger.flows.items():
        events = [entry.event for entry in ledger.entries(key) if entry.event.startswith("flow.")]
        assert events in ([], *([end] for end in FLOW_ENDS)) or events[0] is LogEvent.FLOW_DISPATCHED
        assert events.count(LogEvent.FLOW_DISPATCHED) <= 1
        assert not (flow.dispatch_due and (LogEvent.FLOW_DISPATCHED in events or flow.status in FLOW_ENDED))


@budget
@given(histories(), chances())
def test_no_attempt_is_counted_that_was_not_made(history: History, chance: Random) -> None:
    ledger = in_disarray(history, chance)

    assert all(ledger.jobs[key].attempts_made <= truth.attempts for key, truth in history.truth.items())


@budget
@given(histories(), chances())
def test_an_entry_is_written_exactly_when_a_job_enters_a_state_that_the_log_names(
    history: History, chance: Random
) -> None:
    ledger = ledger_of(history)

    for fact in (fact for batch in in_disorder(history, chance) for fact in batch):
        before = ledger.jobs.get(fact.job_id)
        entries = [entry for entry in ledger.record([fact]).entries if entry.job_id is not None]
        after = ledger.jobs.get(fact.job_id)
        entered = after is not None and before is not None and after.status is not before.status and after.status
        assert [entry.data["status"] for entry in entries] == (
            [entered] if entered and entered is not JobStatus.WAITING_CHILDREN else []
        )


# --- what arrives whole ------------------------------------------------------------------------------


@budget
@given(histories(), chances())
def test_what_arrives_whole_and_in_order_gives_the_truth(history: History, chance: Random) -> None:
    ledger = ledger_of(history).record_all(in_batches(history.facts, chance))

    for key, truth in history.truth.items():
        job = ledger.jobs[key]
        event(f"{job.status}")
        assert (job.status, job.attempts_made, job.result) == (truth.status, truth.attempts, truth.result)
        assert (job.error or {}).get("message") == truth.error
        assert sum(entry.event is LogEvent.JOB_ACTIVE for entry in ledger.entries_of(key)) == truth.starts


@budget
@given(histories(), chances())
def test_one_batch_or_many_give_the_same_jobs_and_flows(history: History, chance: Random) -> None:
    one = ledger_of(history).record_all([history.facts])
    many = ledger_of(history).record_all(in_batches(history.facts, chance))

    assert many.jobs == one.jobs
    assert settled(many.flows) == settled(one.flows)
    for key in one.jobs:
        assert unnumbered(many.entries_of(key)) == unnumbered(one.entries_of(key))


def settled(flows: Mapping[str, FlowState]) -> dict[str, FlowState]:
    """Flows without what the last batch alone has added."""
    return {key: replace(flow, newly_stored=0) for key, flow in flows.items()}


def unnumbered(entries: list[Entry]) -> list[Entry]:
    return [replace(entry, seq=0) for entry in entries]


@budget
@given(histories())
def test_one_batch_or_one_for_each_millisecond_give_the_same_log(history: History) -> None:
    one = ledger_of(history).record_all([history.facts])
    many = ledger_of(history).record_all(by_millisecond(history.facts))

    assert many.log == one.log


@budget
@given(histories(), chances())
def test_the_order_within_a_batch_does_not_matter(history: History, chance: Random) -> None:
    one = ledger_of(history).record_all([history.facts])
    shuffled = ledger_of(history).record_all([chance.sample(history.facts, len(history.facts))])

    assert shuffled.jobs == one.jobs
    assert settled(shuffled.flows) == settled(one.flows)


@budget
@given(histories(whole=True))
def test_parents_start_after_their_children_in_the_log_too(history: History) -> None:
    ledger = ledger_of(history).record_all([history.facts])

    ends = {entry.job_id: entry.seq for entry in ledger.log if entry.event in JOB_ENDS}
    starts: dict[str | None, int] = {}
    for entry in ledger.log:
        if entry.event is LogEvent.JOB_ACTIVE:
            starts.setdefault(entry.job_id, entry.seq)
    for child, parent in history.parents.items():
        assert history.truth[parent].woken_early or ends[child] < starts[parent]


@budget
@given(histories(whole=True), chances())
def test_a_flow_that_has_run_to_its_end_has_ended_as_its_root_has(history: History, chance: Random) -> None:
    ledger = ledger_of(history).record_all(in_batches(history.facts, chance))

    for job in ledger.jobs.values():
        if job.is_root:
            flow = ledger.flows[job.flow_id]
            assert (flow.status.value, flow.finished_at, flow.error) == (job.status.value, job.finished_at, job.error)
            ends = [entry for entry in ledger.entries(flow.id) if entry.event in FLOW_ENDS]
            assert [entry.event.value for entry in ends] == [f"flow.{job.status}"]


@budget
@given(histories(whole=True))
def test_jobs_and_flows_that_a_batch_does_not_name_are_left_alone(history: History) -> None:
    named = history.jobs[0].job_id

    changes = fold(history.jobs, history.flows, [fact for fact in history.facts if fact.job_id == named])

    assert {job.job_id for job in changes.jobs} == {named}
    assert {flow.id for flow in changes.flows} <= {history.jobs[0].flow_id}


@budget
@given(histories())
def test_the_log_of_a_flow_begins_when_its_root_was_added(history: History) -> None:
    ledger = ledger_of(history).record_all([history.facts])

    roots = {job.job_id: job.flow_id for job in history.jobs if job.is_root}
    added = {roots[fact.job_id]: fact.at for fact in history.facts if fact.job_id in roots and fact.kind == "added"}
    for flow, at in added.items():
        first = ledger.entries(flow)[0]
        assert (first.event, first.at) == (LogEvent.FLOW_DISPATCHED, at)
