"""Cursors lead back to where they were made, and anything else is refused."""

import base64

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from bullflow.errors import Invalid
from bullflow.store.cursors import decode, encode

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


@given(TEXT, TEXT)
@example("flows", "")
@example("", "\0")
def test_a_cursor_leads_back_to_its_place(listing: str, place: str) -> None:
    assert decode(listing, encode(listing, place)) == place


@given(TEXT, TEXT)
def test_a_cursor_can_stand_in_a_url_as_it_is(listing: str, place: str) -> None:
    assert set(encode(listing, place)) <= set(LETTERS)


@given(TEXT, TEXT, TEXT)
def test_a_cursor_of_another_list_is_refused(listing: str, other: str, place: str) -> None:
    assume(listing != other)

    _assert_refused(other, encode(listing, place))


@given(st.data(), TEXT)
def test_a_cursor_with_one_changed_character_is_refused(data: st.DataObject, place: str) -> None:
    cursor = encode("flows", place)
    index = data.draw(st.integers(0, len(cursor) - 1))
    letter = data.draw(st.sampled_from(LETTERS).filter(lambda letter: letter != cursor[index]))

    _assert_refused("flows", cursor[:index] + letter + cursor[index + 1 :])


@pytest.mark.parametrize("place", ["", "1", "12", "123", "018f0000-0000-7000-8000-000000000001"])
def test_no_character_of_a_cursor_can_be_changed(place: str) -> None:
    cursor = encode("flows", place)

    for index, kept in enumerate(cursor):
        for letter in LETTERS.replace(kept, ""):
            _assert_refused("flows", cursor[:index] + letter + cursor[index + 1 :])


@given(TEXT, st.integers(1, 20))
def test_a_cursor_that_was_cut_is_refused(place: str, lost: int) -> None:
    cursor = encode("flows", place)

    _assert_refused("flows", cursor[:-lost])


@given(TEXT, st.text(LETTERS + "=+/ \n", min_size=1, max_size=8))
def test_a_cursor_with_something_behind_it_is_refused(place: str, more: str) -> None:
    _assert_refused("flows", encode("flows", place) + more)


@given(st.one_of(st.text(), st.text(LETTERS + "="), st.binary().map(lambda raw: base64.b64encode(raw).decode())))
@example("")
@example("=")
@example("é")
@example("\ud800")
@example("A" * 100_000)
def test_garbage_is_refused(garbage: str) -> None:
    _assert_refused("flows", garbage)


def test_the_refusal_names_the_parameter() -> None:
    with pytest.raises(Invalid) as refused:
        decode("flows", "garbage")

    assert [fault.pointer for fault in refused.value.faults] == ["?cursor"]


def _assert_refused(listing: str, cursor: str) -> None:
    with pytest.raises(Invalid):
        decode(listing, cursor)
