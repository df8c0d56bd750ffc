"""Pauses between attempts, by BullMQ's rules, whatever stands in the options."""

import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bullflow.engine.backoff import pause, pause_before_retry
from bullflow.engine.delivery import Delivery
from bullflow.engine.envelope import Envelope

ANYTHING: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
CHANCE = random.Random(1)


def a_delivery(*, made: int, **opts: Any) -> Delivery:
    return Delivery(
        job_id="1",
        token="t",
        name="n",
        queue_name="q",
        data={},
        opts=opts,
        envelope=Envelope(),
        attempts_made=made,
    )


@pytest.mark.parametrize(
    ("backoff", "made", "wanted"),
    [
        (None, 1, 0),
        (250, 1, 250),
        (250, 9, 250),
        ({"type": "fixed", "delay": 250}, 3, 250),
        ({"type": "exponential", "delay": 100}, 1, 100),
        ({"type": "exponential", "delay": 100}, 2, 200),
        ({"type": "exponential", "delay": 100}, 5, 1600),
        ({"type": "exponential"}, 5, 0),
        ({}, 1, 0),
    ],
)
def test_the_pause_is_bullmqs(backoff: Any, made: int, wanted: int) -> None:
    assert pause(backoff, made, CHANCE) == wanted


@given(st.integers(0, 10**6), st.floats(0, 1), st.integers(1, 12), st.sampled_from(["fixed", "exponential"]))
def test_jitter_only_shortens_a_pause_and_never_by_more_than_its_part(
    delay: int, jitter: float, made: int, kind: str
) -> None:
    whole = pause({"type": kind, "delay": delay}, made, CHANCE)

    assert whole * (1 - jitter) - 1 <= pause({"type": kind, "delay": delay, "jitter": jitter}, made, CHANCE) <= whole


def test_jitter_really_varies() -> None:
    backoff = {"type": "fixed", "delay": 10_000, "jitter": 0.5}

    assert len({pause(backoff, 1, CHANCE) for _ in range(20)}) > 10


@given(ANYTHING | st.fixed_dictionaries({"type": ANYTHING | st.just("exponential"), "delay": ANYTHING}), st.integers(1))
def test_a_pause_is_never_negative_and_never_an_error(backoff: Any, made: int) -> None:
    assert pause(backoff, made, CHANCE) >= 0


@given(ANYTHING)
def test_a_jitter_that_makes_no_sense_is_none(jitter: Any) -> None:
    assert 0 <= pause({"type": "fixed", "delay": 100, "jitter": jitter}, 1, CHANCE) <= 100


@pytest.mark.parametrize(("made", "wanted"), [(0, 50), (1, 50), (2, None), (3, None)])
def test_after_the_last_attempt_there_is_no_other(made: int, wanted: int | None) -> None:
    assert pause_before_retry(a_delivery(made=made, attempts=3, backoff=50)) == wanted


def test_one_attempt_is_all_there_is_when_nothing_is_said() -> None:
    assert pause_before_retry(a_delivery(made=0)) is None


@given(ANYTHING)
def test_attempts_that_make_no_sense_are_one(attempts: Any) -> None:
    assert a_delivery(made=0, attempts=attempts).attempts >= 1
