"""Each reason for which a job does not run, which of several is told, and in which order."""

import re
from dataclasses import replace
from typing import Any

import pytest

from bullflow.flow.explain import (
    Example,
    Explanation,
    Group,
    OpenChildren,
    Place,
    Reason,
    Situation,
    explain,
)
from bullflow.flow.queues import QueueFacts, QueueLimits, QueueRules, RateLimit, WorkerFacts
from bullflow.flow.states import OPEN, JobStatus

NOW = 1_000_000
WAITING, ACTIVE, DELAYED = JobStatus.WAITING, JobStatus.ACTIVE, JobStatus.DELAYED
PARENT, PRIORITIZED = JobStatus.WAITING_CHILDREN, JobStatus.PRIORITIZED
QUEUED = (WAITING, PRIORITIZED)
AWAY = "connection refused"


def example(name: str, status: JobStatus = WAITING, queue: str = "q", **more: Any) -> Example:
    return Example(id=name, job_id=f"{name}-1", name=name, status=status, queue_name=queue, **more)


def group(status: JobStatus, *names: str, queue: str = "q", count: int | None = None, **more: Any) -> Group:
    jobs = [example(name, status, queue, **more) for name in names or ("job",)]
    return Group(status=status, queue_name=queue, count=len(jobs) if count is None else count, examples=jobs)


def queue(
    *, active: int = 0, workers: int = 1, limited_for: int | None = None, paused: bool = False, **limits: Any
) -> QueueFacts:
    worker = WorkerFacts(name="w", address="", age=1, idle=0)
    return QueueFacts(
        counts=dict.fromkeys(JobStatus, 0) | {ACTIVE: active},
        rules=QueueRules(paused=paused, limits=QueueLimits(**limits)),
        limited_for=limited_for,
        workers=(worker,) * workers,
    )


def situation(*groups: Group, **more: Any) -> Situation:
    """In the engine, which answers, and in whose queue one worker is idle."""
    known = {job.job_id: Place(known=True) for one in groups for job in one.examples}
    return Situation(
        **{"dispatch_due": False, "groups": groups, "queues": {"q": queue()}, "places": known, **more},
    )


def only(found: Situation, now: int = NOW) -> Explanation:
    (explanation,) = explain(found, now)
    return explanation


# --- each reason -------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", sorted(OPEN))
@pytest.mark.parametrize(
    ("more", "detail"),
    [
        ({}, "not known to be in the engine yet"),
        ({"engine_away": AWAY}, f"waits for the engine, which does not answer: {AWAY}"),
        ({"recorder_works": False}, "no recorder is running.*`bullflow recorder`"),
        ({"recorder_works": False, "engine_away": AWAY}, "no recorder is running"),
    ],
    ids=["just now", "engine away", "no recorder", "neither"],
)
def test_what_is_not_dispatched_says_what_it_waits_for(status: JobStatus, more: dict[str, Any], detail: str) -> None:
    found = only(situation(group(status), dispatch_due=True, **more))

    assert found.reason is Reason.NOT_DISPATCHED
    assert re.search(detail, found.detail)


@pytest.mark.parametrize("status", sorted(OPEN - {PARENT}))
def test_an_engine_that_is_away_is_the_reason_of_all_that_do_not_wait_for_others(status: JobStatus) -> None:
    found = only(situation(group(status), engine_away=AWAY, queues={}, places={}))

    assert found.reason is Reason.ENGINE_AWAY
    assert AWAY in found.detail


@pytest.mark.parametrize("status", sorted(OPEN - {PARENT}))
def test_jobs_that_the_engine_does_not_know_are_lost(status: JobStatus) -> None:
    lost = {"a-1": Place(known=False), "b-1": Place(known=False)}

    assert only(situation(group(status, "a", "b"), places=lost)).reason is Reason.LOST


def test_a_group_of_which_some_are_known_or_were_not_asked_for_is_not_lost() -> None:
    for places in ({"a-1": Place(known=False), "b-1": Place(known=True)}, {"a-1": Place(known=False)}, {}):
        assert only(situation(group(WAITING, "a", "b"), places=places)).reason is Reason.WAITS_ITS_TURN


@pytest.mark.parametrize("status", QUEUED)
def test_a_paused_queue_says_how_it_is_resumed(status: JobStatus) -> None:
    found = only(situation(group(status), queues={"q": queue(paused=True)}))

    assert found.reason is Reason.QUEUE_PAUSED
    assert "`bullflow queues resume q`" in found.detail


@pytest.mark.parametrize("status", QUEUED)
def test_a_queue_without_workers_says_how_one_is_started(status: JobStatus) -> None:
    found = only(situation(group(status), queues={"q": queue(workers=0)}))

    assert found.reason is Reason.NO_WORKER
    assert "`bullflow worker MODULE:WORKER`" in found.detail


@pytest.mark.parametrize(
    ("rate", "detail"),
    [
        (RateLimit(max=5, duration=1_500), 'the queue "q" has reached its rate limit of 5 jobs in 1.5 s; .* in 700 ms'),
        (None, 'the queue "q" has reached its rate limit; it goes on in 700 ms'),
    ],
)
def test_a_rate_limit_says_when_it_lets_go(rate: RateLimit | None, detail: str) -> None:
    found = only(situation(group(WAITING), queues={"q": queue(limited_for=700, rate=rate)}))

    assert found.reason is Reason.RATE_LIMITED
    assert re.search(detail, found.detail)


@pytest.mark.parametrize(
    ("active", "reason"), [(1, "waits-its-turn"), (2, "concurrency-reached"), (3, "concurrency-reached")]
)
def test_a_queue_that_runs_as_many_as_it_may_is_the_reason(active: int, reason: str) -> None:
    found = only(situation(group(WAITING), queues={"q": queue(concurrency=2, active=active)}))

    assert found.reason.value == reason
    assert f"{active}" in found.detail


def test_without_a_limit_any_number_may_run() -> None:
    found = only(situation(group(WAITING), queues={"q": queue(active=1_000)}))

    assert found.reason is Reason.WAITS_ITS_TURN


@pytest.mark.parametrize("status", QUEUED)
def test_a_job_that_waits_its_turn_says_behind_how_many(status: JobStatus) -> None:
    places = {"a-1": Place(known=True, behind=9), "b-1": Place(known=True, behind=4), "c-1": Place(known=True)}

    found = only(situation(group(status, "a", "b", "c"), places=places, queues={"q": queue(workers=3, active=2)}))

    assert (found.reason, found.behind, found.until) == (Reason.WAITS_ITS_TURN, 4, None)
    assert found.detail == 'waits behind 4 jobs in the queue "q"; workers: 3, running: 2'


def test_one_job_is_one_job() -> None:
    found = only(situation(group(WAITING, "a"), places={"a-1": Place(known=True, behind=1)}, queues={}))

    assert found.detail == 'waits behind 1 job in the queue "q"'


def test_a_place_that_is_not_known_is_not_told() -> None:
    found = only(situation(group(WAITING), queues={}))

    assert (found.behind, found.detail) == (None, 'waits for its turn in the queue "q"')


def test_a_delay_says_until_when_the_first_is_due() -> None:
    places = {"a-1": Place(known=True, until=NOW + 900), "b-1": Place(known=True, until=NOW + 300)}

    found = only(situation(group(DELAYED, "a", "b"), places=places))

    assert (found.reason, found.until, found.behind) == (Reason.DELAYED, NOW + 300, None)


def test_a_delay_of_which_the_end_is_not_known_is_a_delay() -> None:
    found = only(situation(group(DELAYED)))

    assert (found.reason, found.until) == (Reason.DELAYED, None)


@pytest.mark.parametrize(
    ("facts", "reason"),
    [({"workers": 0}, Reason.NO_WORKER), ({"paused": True}, Reason.QUEUE_PAUSED), ({}, Reason.WAITS_ITS_TURN)],
)
def test_a_delayed_job_that_is_due_is_held_back_by_its_queue(facts: dict[str, Any], reason: Reason) -> None:
    """Workers move delayed jobs on; where none looks, they stay delayed past their time."""
    found = situation(group(DELAYED), queues={"q": queue(**facts)}, places={"job-1": Place(known=True, until=NOW)})

    assert only(found).reason is reason
    assert only(found, NOW - 1).reason is Reason.DELAYED


def test_a_running_job_names_its_workers() -> None:
    jobs = [
        example(name, ACTIVE, worker=worker) for name, worker in (("a", "w2"), ("b", None), ("c", "w1"), ("d", "w2"))
    ]
    four = [*jobs, example("e", ACTIVE, worker="w3"), example("f", ACTIVE, worker="w4")]

    found = only(situation(Group(status=ACTIVE, queue_name="q", count=4, examples=jobs)))
    many = only(situation(Group(status=ACTIVE, queue_name="q", count=6, examples=four)))
    unknown = only(situation(group(ACTIVE)))

    assert (found.reason, found.detail) == (Reason.RUNNING, "running on w1, w2")
    assert many.detail == "running on w1, w2, w3"
    assert unknown.detail == "running"


@pytest.mark.parametrize(
    ("count", "detail"),
    [(1, "waits for 1 child that has not ended"), (3, "waits for 3 children that have not ended")],
)
def test_a_parent_says_how_many_children_it_waits_for(count: int, detail: str) -> None:
    children = {"job": OpenChildren(count=count, first=[example("child")])}

    found = only(situation(group(PARENT), children=children))

    assert (found.reason, found.detail) == (Reason.WAITS_FOR_CHILDREN, detail)


def test_several_parents_say_that_they_wait() -> None:
    children = {name: OpenChildren(count=1, first=[]) for name in ("a", "b")}

    found = only(situation(group(PARENT, "a", "b"), children=children))

    assert (found.reason, found.detail) == (Reason.WAITS_FOR_CHILDREN, "wait for children that have not ended")


# --- which of several, and in which order ------------------------------------------------------------


def test_of_several_reasons_the_one_that_must_go_first_is_told() -> None:
    worst = situation(
        group(WAITING),
        dispatch_due=True,
        engine_away=AWAY,
        places={"job-1": Place(known=False)},
        queues={"q": queue(paused=True, workers=0, limited_for=5, concurrency=1, active=1)},
    )
    told = [only(worst).reason]

    for gone in (
        {"dispatch_due": False},
        {"engine_away": None},
        {"places": {"job-1": Place(known=True)}},
        {"queues": {"q": queue(workers=0, limited_for=5, concurrency=1, active=1)}},
        {"queues": {"q": queue(limited_for=5, concurrency=1, active=1)}},
        {"queues": {"q": queue(concurrency=1, active=1)}},
        {"queues": {"q": queue()}},
    ):
        worst = replace(worst, **gone)
        told.append(only(worst).reason)

    assert told == [
        Reason.NOT_DISPATCHED,
        Reason.ENGINE_AWAY,
        Reason.LOST,
        Reason.QUEUE_PAUSED,
        Reason.NO_WORKER,
        Reason.RATE_LIMITED,
        Reason.CONCURRENCY_REACHED,
        Reason.WAITS_ITS_TURN,
    ]


def test_a_job_that_runs_is_not_held_back_by_what_its_queue_may_not_begin() -> None:
    found = situation(
        group(ACTIVE), queues={"q": queue(paused=True, workers=0, limited_for=5, concurrency=1, active=1)}
    )

    assert only(found).reason is Reason.RUNNING


def test_a_delay_comes_before_what_holds_back_its_queue() -> None:
    found = situation(group(DELAYED), queues={"q": queue(paused=True, workers=0)})

    assert only(found).reason is Reason.DELAYED


def test_each_group_is_told_once_however_large_with_its_examples() -> None:
    large = group(WAITING, "a", "b", count=5_000)

    found = only(situation(large))

    assert (found.count, found.queue_name, found.examples) == (5_000, "q", large.examples)


def test_what_holds_back_the_rest_comes_first_and_then_queue_by_queue() -> None:
    groups = [
        group(PARENT, "root", queue="z"),
        group(ACTIVE, "runs"),
        group(DELAYED, "late"),
        group(WAITING, "turn"),
        group(WAITING, "lost", queue="lost"),
        group(PRIORITIZED, "lonely", queue="b"),
        group(WAITING, "lonely-too", queue="a"),
        group(WAITING, "held", queue="paused"),
    ]
    facts = {"q": queue(), "lost": queue(), "a": queue(workers=0), "b": queue(workers=0), "paused": queue(paused=True)}
    found = situation(*groups, queues=facts)
    found = replace(found, places={**found.places, "lost-1": Place(known=False)})

    told = explain(found, NOW)

    assert [(one.reason.value, one.queue_name) for one in told] == [
        ("lost", "lost"),
        ("queue-paused", "paused"),
        ("no-worker", "a"),
        ("no-worker", "b"),
        ("waits-its-turn", "q"),
        ("delayed", "q"),
        ("running", "q"),
        ("waits-for-children", "z"),
    ]
    assert sum(one.count for one in told) == len(groups)


def test_each_queue_is_held_back_by_its_own_reasons() -> None:
    found = explain(
        situation(
            group(WAITING, "a", queue="a"),
            group(WAITING, "b", queue="b"),
            group(WAITING, "c", queue="unknown"),
            queues={"a": queue(paused=True), "b": queue()},
        ),
        NOW,
    )

    assert {one.queue_name: one.reason for one in found} == {
        "a": Reason.QUEUE_PAUSED,
        "b": Reason.WAITS_ITS_TURN,
        "unknown": Reason.WAITS_ITS_TURN,
    }


def test_a_flow_with_nothing_open_has_no_reasons() -> None:
    assert explain(situation(engine_away=AWAY, dispatch_due=True), NOW) == []


def test_every_reason_has_a_place_in_the_order_and_every_open_state_an_explanation() -> None:
    assert len(set(Reason)) == 11
    assert all(isinstance(only(situation(group(status))).reason, Reason) for status in OPEN)
