"""Buckets of flows and numbers of sockets, as one process counts them."""

from contextlib import ExitStack
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bullflow.errors import Invalid, Limited
from bullflow.flow.access import Caller
from bullflow.service import quotas as quotas_module
from bullflow.service.quotas import Limits, Quotas
from support.flows import HandClock

U, V, W = (Caller(name=name, user_id=f"id-of-{name}") for name in "uvw")


def buckets(rate: float | None, burst: int) -> tuple[Quotas, HandClock]:
    clock = HandClock()
    return Quotas(Limits(create_rate=rate, create_burst=burst), clock=clock), clock


def test_so_many_at_once_and_then_so_many_a_second() -> None:
    quotas, clock = buckets(2, 5)
    quotas.take("u", 5)
    with pytest.raises(Limited, match="2 flows a second") as refused:
        quotas.take("u", 3)
    assert refused.value.retry_after == timedelta(seconds=1.5)
    clock.forward(timedelta(seconds=1.5))
    quotas.take("u", 3)
    with pytest.raises(Limited):
        quotas.take("u", 1)
    quotas.take("somebody else", 5)


def test_who_has_waited_long_may_not_create_more_than_at_once() -> None:
    quotas, clock = buckets(2, 5)
    quotas.take("u", 5)
    clock.forward(timedelta(days=1))
    quotas.take("u", 5)
    with pytest.raises(Limited):
        quotas.take("u", 1)


def test_more_than_a_bucket_holds_are_never_let_through_and_take_nothing() -> None:
    quotas, _ = buckets(2, 5)
    with pytest.raises(Invalid, match="CREATE_BURST"):
        quotas.take("u", 6)
    quotas.take("u", 5)


def test_what_was_not_created_is_put_back() -> None:
    quotas, _ = buckets(2, 5)
    quotas.take("u", 5)
    quotas.put_back("u", 3)
    quotas.take("u", 3)
    with pytest.raises(Limited):
        quotas.take("u", 1)


def test_without_a_rate_nothing_is_counted() -> None:
    quotas, _ = buckets(None, 1)
    for _ in range(100):
        quotas.take("u", 1_000)


def test_buckets_of_users_who_were_not_seen_for_long_are_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quotas_module, "MOST_USERS", 3)
    quotas, _ = buckets(1, 1)
    for user in "abcd":
        quotas.take(user, 1)
    for user in "bcd":
        with pytest.raises(Limited):
            quotas.take(user, 1)
    quotas.take("a", 1)


@given(st.lists(st.tuples(st.integers(0, 2_000), st.integers(1, 4)), max_size=60))
def test_in_any_stretch_of_time_no_more_get_through_than_rate_and_burst_allow(asked: list[tuple[int, int]]) -> None:
    rate, burst = 3.0, 4
    quotas, clock = buckets(rate, burst)
    let_through: list[tuple[int, int]] = []
    for pause, flows in asked:
        clock.now += pause
        try:
            quotas.take("u", flows)
        except Limited:
            continue
        let_through.append((clock.now, flows))
    for start in range(len(let_through)):
        for end in range(start, len(let_through)):
            seconds = (let_through[end][0] - let_through[start][0]) / 1000
            assert sum(flows for _, flows in let_through[start : end + 1]) <= burst + rate * seconds + 1e-6


def test_large_requests_are_counted_for_each_user_and_for_all() -> None:
    quotas = Quotas(Limits(), clock=HandClock())
    with ExitStack() as stack:
        for _ in range(quotas_module.LARGE_BODIES_OF_ONE):
            stack.enter_context(quotas.large_body(U))
        with pytest.raises(Limited), quotas.large_body(U):
            pass
        for _ in range(quotas_module.LARGE_BODIES - quotas_module.LARGE_BODIES_OF_ONE):
            stack.enter_context(quotas.large_body(V))
        with pytest.raises(Limited), quotas.large_body(W):
            pass
        for _ in range(quotas_module.READINGS_OF_ONE):
            stack.enter_context(quotas.reading(U))
        with pytest.raises(Limited), quotas.reading(U):
            pass
        with quotas.reading(V):
            pass
    with quotas.large_body(U), quotas.reading(U):
        pass


def test_sockets_are_counted_while_they_are_open() -> None:
    quotas = Quotas(Limits(sockets=2), clock=HandClock())
    with quotas.socket(U), quotas.socket(U):
        with pytest.raises(Limited, match="MAX_SOCKETS"), quotas.socket(U):
            pass
        with quotas.socket(V):
            pass
    with quotas.socket(U), quotas.socket(U.acting_for("v", "id-of-v", ())):
        with pytest.raises(Limited), quotas.socket(U):
            pass
        with quotas.socket(V), quotas.socket(V):
            pass
    with quotas.socket(U):
        pass
