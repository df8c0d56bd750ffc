"""Instants: milliseconds inside, ISO 8601 outside."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bullflow.clock import instant, iso, iso_or_none, now_ms

END_OF_9999 = 253_402_300_799_999


@pytest.mark.parametrize(
    ("ms", "text"),
    [
        (0, "1970-01-01T00:00:00.000Z"),
        (1_795_454_658_042, "2026-11-23T17:24:18.042Z"),
        (999, "1970-01-01T00:00:00.999Z"),
        (-1, "1969-12-31T23:59:59.999Z"),
        (END_OF_9999, "9999-12-31T23:59:59.999Z"),
    ],
)
def test_an_instant_is_shown_in_utc_with_milliseconds(ms: int, text: str) -> None:
    assert iso(ms) == text
    assert instant(text) == ms


@given(st.integers(0, END_OF_9999))
def test_an_instant_survives_the_way_out_and_back(ms: int) -> None:
    assert instant(iso(ms)) == ms


@given(st.integers(0, END_OF_9999), st.integers(0, END_OF_9999))
def test_texts_have_the_order_of_their_instants(one: int, other: int) -> None:
    assert (iso(one) < iso(other)) == (one < other)


def test_no_instant_has_no_text() -> None:
    assert iso_or_none(None) is None
    assert iso_or_none(0) == "1970-01-01T00:00:00.000Z"


@pytest.mark.parametrize(
    ("text", "ms"),
    [
        ("1970-01-01", 0),
        ("1970-01-01T00:00:01", 1000),
        ("1970-01-01T02:00:00+02:00", 0),
        ("1970-01-01T00:00:00.0015Z", 2),
        ("19700101T000000Z", 0),
    ],
)
def test_other_forms_of_iso_8601_are_read_and_none_means_utc(text: str, ms: int) -> None:
    assert instant(text) == ms


@pytest.mark.parametrize("text", ["", "now", "1970-13-01", "1970-01-01T25:00", "0", "1970-01-01T00:00:00Z\n"])
def test_what_names_no_instant_is_a_value_error(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        instant(text)


def test_now_is_the_systems_clock_in_milliseconds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "time_ns", lambda: 1_795_454_658_042_999_999)

    assert now_ms() == 1_795_454_658_042
