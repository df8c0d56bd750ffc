"""The shape of a background loop: it works while there is work, sleeps, is woken, and outlives its faults."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from typing import cast

import pytest
from hypothesis import given
from hypothesis.strategies import floats, integers
from structlog.testing import CapturingLogger
from structlog.typing import FilteringBoundLogger

from bullflow.errors import EngineAway, LeadershipLost
from bullflow.loop import Pauses, Wake, run, until_due

NEVER = None
AT_ONCE = timedelta(0)
PATIENCE = 10


@pytest.fixture
def log() -> CapturingLogger:
    return CapturingLogger()


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """What the loop would have slept; it goes on at once."""
    slept: list[float] = []
    real_sleep = asyncio.sleep

    async def sleep(seconds: float) -> None:
        slept.append(seconds)
        await real_sleep(0)

    monkeypatch.setattr(asyncio, "sleep", sleep)
    return slept


class Work:
    """A `run_once` that plays a list of outcomes, then does nothing; it counts and signals its rounds."""

    def __init__(self, *outcomes: int | Exception) -> None:
        self._outcomes = list(outcomes)
        self.rounds = 0
        self._more = asyncio.Condition()

    async def run_once(self) -> int:
        async with self._more:
            self.rounds += 1
            self._more.notify_all()
        outcome = self._outcomes.pop(0) if self._outcomes else 0
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    async def reach(self, rounds: int) -> None:
        async with asyncio.timeout(PATIENCE), self._more:
            await self._more.wait_for(lambda: self.rounds >= rounds)


@asynccontextmanager
async def running(
    run_once: Callable[[], Awaitable[int]],
    log: CapturingLogger,
    *,
    wake: Wake | None = None,
    interval: timedelta | None = NEVER,
    give_up_on: tuple[type[Exception], ...] = (),
) -> AsyncIterator[asyncio.Task[None]]:
    logger = cast("FilteringBoundLogger", log)
    life = run("work", run_once, wake=wake or Wake(), interval=interval, log=logger, give_up_on=give_up_on)
    task = asyncio.create_task(life)
    try:
        yield task
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError, LeadershipLost):
            await task


def told(log: CapturingLogger) -> list[tuple[str, str]]:
    return [(call.method_name, call.args[0]) for call in log.calls]


async def settle() -> None:
    """Let everything that can go on go on."""
    for _ in range(20):
        await asyncio.sleep(0)


async def test_it_works_on_without_a_pause_while_there_is_work(log: CapturingLogger) -> None:
    work = Work(5, 1, 3, 0)

    async with running(work.run_once, log):
        await work.reach(4)
        await settle()

    assert work.rounds == 4


async def test_a_ring_wakes_it(log: CapturingLogger) -> None:
    work, wake = Work(), Wake()

    async with running(work.run_once, log, wake=wake):
        await work.reach(1)
        await settle()
        assert work.rounds == 1
        wake.ring()
        await work.reach(2)


async def test_rings_before_it_listens_count_once(log: CapturingLogger) -> None:
    work, wake = Work(), Wake()
    wake.ring()
    wake.ring()

    async with running(work.run_once, log, wake=wake):
        await work.reach(2)
        await settle()

    assert work.rounds == 2


async def test_a_ring_during_a_round_is_not_lost(log: CapturingLogger) -> None:
    wake, rounds = Wake(), []
    second = asyncio.Event()

    async def run_once() -> int:
        rounds.append(1)
        if len(rounds) == 1:
            wake.ring()
        else:
            second.set()
        return 0

    async with running(run_once, log, wake=wake), asyncio.timeout(PATIENCE):
        await second.wait()


async def test_its_interval_is_the_net_when_nobody_rings(log: CapturingLogger) -> None:
    work = Work()

    async with running(work.run_once, log, interval=timedelta(milliseconds=1)):
        await work.reach(3)


async def test_a_failing_round_is_outlived_and_told_once(log: CapturingLogger, pauses: list[float]) -> None:
    work = Work(*[RuntimeError("broken")] * 3, 1)

    async with running(work.run_once, log):
        await work.reach(5)

    assert told(log) == [("warning", "work.failing"), ("info", "work.recovered")]
    first = log.calls[0].kwargs
    assert (first["error"], first["kind"]) == ("broken", "RuntimeError")


async def test_another_fault_is_told_again(log: CapturingLogger, pauses: list[float]) -> None:
    work = Work(RuntimeError("one"), RuntimeError("other"), ValueError("other"))

    async with running(work.run_once, log):
        await work.reach(4)

    assert [call.kwargs.get("error") for call in log.calls] == ["one", "other", "other", None]


async def test_the_same_fault_is_told_again_after_a_recovery(log: CapturingLogger, pauses: list[float]) -> None:
    work = Work(RuntimeError("broken"), 1, RuntimeError("broken"), 1)

    async with running(work.run_once, log):
        await work.reach(5)

    assert told(log) == [("warning", "work.failing"), ("info", "work.recovered")] * 2


@pytest.mark.parametrize(
    ("fault", "has_trace"),
    [(RuntimeError("ours"), True), (EngineAway("refused"), False), (ConnectionRefusedError("theirs"), False)],
)
async def test_a_trace_is_told_for_faults_of_ours_only(
    log: CapturingLogger, pauses: list[float], fault: Exception, has_trace: bool
) -> None:
    work = Work(fault)

    async with running(work.run_once, log):
        await work.reach(2)

    assert log.calls[0].kwargs["exc_info"] is (fault if has_trace else None)


async def test_pauses_grow_while_it_fails_and_begin_anew_after_a_success(
    log: CapturingLogger, pauses: list[float]
) -> None:
    broken = [OSError("away")]
    work = Work(*broken * 7, 1, *broken * 2, 1)

    async with running(work.run_once, log):
        await work.reach(12)

    asked = [seconds for seconds in pauses if seconds]
    assert asked == pytest.approx([0.1, 0.2, 0.4, 0.8, 1.6, 2.0, 2.0, 0.1, 0.2])


async def test_it_gives_up_on_what_it_is_told_to(log: CapturingLogger) -> None:
    work = Work(1, LeadershipLost(), 1)

    async with running(work.run_once, log, give_up_on=(LeadershipLost,)) as task:
        with pytest.raises(LeadershipLost):
            await asyncio.wait_for(asyncio.shield(task), PATIENCE)

    assert work.rounds == 2
    assert log.calls == []


async def test_it_can_be_cancelled_while_it_sleeps(log: CapturingLogger) -> None:
    work = Work()

    async with running(work.run_once, log) as task:
        await work.reach(1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(task, PATIENCE)

    assert log.calls == []


async def test_it_can_be_cancelled_within_a_round(log: CapturingLogger) -> None:
    entered = asyncio.Event()

    async def run_once() -> int:
        entered.set()
        await asyncio.Event().wait()
        return 0

    async with running(run_once, log) as task:
        await asyncio.wait_for(entered.wait(), PATIENCE)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(task, PATIENCE)

    assert log.calls == []


async def test_an_error_on_its_way_out_does_not_make_it_stay(log: CapturingLogger) -> None:
    entered = asyncio.Event()

    async def run_once() -> int:
        entered.set()
        try:
            await asyncio.Event().wait()
        finally:
            raise RuntimeError("the store is closed")

    async with running(run_once, log) as task:
        await asyncio.wait_for(entered.wait(), PATIENCE)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(task, PATIENCE)

    assert log.calls == []


async def test_a_bell_that_nobody_rings_is_given_up_after_its_time() -> None:
    await asyncio.wait_for(Wake().heard(AT_ONCE), PATIENCE)


async def test_a_bell_that_was_heard_is_silent_again() -> None:
    wake = Wake()
    wake.ring()
    await asyncio.wait_for(wake.heard(NEVER), PATIENCE)

    again = asyncio.create_task(wake.heard(NEVER))
    await settle()
    assert not again.done()
    wake.ring()
    await asyncio.wait_for(again, PATIENCE)


async def test_pauses_can_be_reset(pauses: list[float]) -> None:
    growing = Pauses()

    await growing.rest()
    await growing.rest()
    growing.reset()
    await growing.rest()

    assert pauses == pytest.approx([0.1, 0.2, 0.1])


@given(
    interval=floats(0.1, 100).map(lambda seconds: timedelta(seconds=seconds)),
    times=integers(1, 5),
    now=floats(0, 1_000_000),
)
def test_what_is_due_is_due_with_all_that_has_the_same_interval_or_a_part_of_it(
    interval: timedelta, times: int, now: float
) -> None:
    part, whole = until_due(interval, now), until_due(interval * times, now)

    for period, left in ((interval, part), (interval * times, whole)):
        assert period / 10 <= left <= period * 1.1
        assert _off_by(period, now + left.total_seconds()) < 0.001 * times


def _off_by(period: timedelta, instant: float) -> float:
    """Seconds to the nearest multiple."""
    past = instant % period.total_seconds()
    return min(past, period.total_seconds() - past)
