"""What is slow: jobs by name, with the durations that were measured and no others."""

from statistics import median_low

from hypothesis import given
from hypothesis import strategies as st

from bullflow.flow.states import JobStatus
from bullflow.flow.timing import Slowest, Spread, TimedJob, tasks

COMPLETED, FAILED, ACTIVE, WAITING = JobStatus.COMPLETED, JobStatus.FAILED, JobStatus.ACTIVE, JobStatus.WAITING


def ran(name: str, running: int, *, waited: int = 0, key: str = "job", status: JobStatus = COMPLETED) -> TimedJob:
    return TimedJob(key, f"flow of {key}", name, status.value, 1_000, 1_000 + waited, 1_000 + waited + running)


def open_job(name: str, *, waited: int | None = None) -> TimedJob:
    status, started = (WAITING, None) if waited is None else (ACTIVE, 1_000 + waited)
    return TimedJob("job", "flow", name, status.value, 1_000, started, None)


def test_no_jobs_have_no_names() -> None:
    assert tasks([]) == []


def test_each_name_is_told_with_its_counts_and_its_slowest_job() -> None:
    jobs = [
        ran("cut", 40, waited=5, key="a"),
        ran("send", 1, key="b"),
        ran("cut", 70, waited=9, key="c", status=FAILED),
        ran("cut", 50, waited=7, key="d"),
    ]

    cut, send = tasks(jobs)

    assert (cut.name, cut.count, cut.failed) == ("cut", 3, 1)
    assert cut.waiting == Spread(median=7, p95=9)
    assert cut.running == Spread(median=50, p95=70)
    assert cut.slowest == Slowest(id="c", flow_id="flow of c", running=70)
    assert (send.name, send.count, send.failed, send.running) == ("send", 1, 0, Spread(median=1, p95=1))


def test_how_long_a_job_waited_before_it_was_retried_is_nobodys_waiting() -> None:
    first, again = ran("cut", 40, waited=5), ran("cut", 50, waited=300_000)._replace(run=2)

    (cut,) = tasks([first, again])

    assert (cut.waiting, cut.running) == (Spread(median=5, p95=5), Spread(median=40, p95=50))


def test_what_is_not_known_is_left_out_and_not_taken_for_nothing() -> None:
    waiting, active = tasks([open_job("b")]), tasks([open_job("a", waited=30), open_job("a")])

    assert (waiting[0].waiting, waiting[0].running, waiting[0].slowest) == (Spread(median=None, p95=None),) * 2 + (
        None,
    )
    assert active[0].waiting == Spread(median=30, p95=30)
    assert (active[0].running, active[0].slowest) == (Spread(median=None, p95=None), None)


def test_a_job_that_ended_without_having_begun_has_not_run() -> None:
    (task,) = tasks([TimedJob("job", "flow", "cut", JobStatus.CANCELLED.value, 1_000, None, 9_000)])

    assert (task.count, task.running.p95, task.slowest) == (1, None, None)


def test_clocks_that_differ_give_no_negative_times() -> None:
    (task,) = tasks([TimedJob("job", "flow", "cut", COMPLETED.value, 1_000, 990, 980)])

    assert (task.waiting.p95, task.running.p95) == (0, 0)


def test_what_runs_longest_comes_first_and_what_has_not_run_comes_last() -> None:
    jobs = [open_job("z"), ran("b", 5), open_job("a"), ran("c", 0), ran("a2", 5), ran("slow", 90)]

    assert [task.name for task in tasks(jobs)] == ["slow", "a2", "b", "c", "a", "z"]


def test_of_several_that_ran_longest_the_first_one_is_told() -> None:
    (task,) = tasks([ran("cut", 3, key="a"), ran("cut", 8, key="b"), ran("cut", 8, key="c")])

    assert task.slowest == Slowest(id="b", flow_id="flow of b", running=8)


def test_one_slow_job_in_twenty_is_beyond_the_95th_per_cent_and_two_are_not() -> None:
    fast = [ran("cut", 1) for _ in range(18)]

    ((one,), (two,)) = (tasks([*fast, ran("cut", 1), ran("cut", 99)]), tasks([*fast, ran("cut", 99), ran("cut", 99)]))

    assert (one.running.p95, two.running.p95) == (1, 99)


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 10**12)), min_size=1))
def test_every_duration_is_one_that_was_measured_and_enough_do_not_exceed_it(told: list[tuple[str, int]]) -> None:
    found = tasks(ran(name, running) for name, running in told)

    assert sum(task.count for task in found) == len(told)
    for task in found:
        known = [running for name, running in told if name == task.name]
        p95, slowest = task.running.p95, task.slowest
        assert task.running.median == median_low(known)
        assert p95 in known
        assert p95 is not None
        assert slowest is not None
        assert sum(running <= p95 for running in known) * 100 >= len(known) * 95
        assert sum(running < p95 for running in known) * 100 < len(known) * 95
        assert slowest.running == max(known)
    assert [task.running.p95 for task in found] == sorted((task.running.p95 for task in found), reverse=True)  # type: ignore[type-var]
