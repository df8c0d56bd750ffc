"""A body as it comes: in pieces that are neither many nor large, whatever the client's are."""

from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from typing import Any, cast

import pytest
from fastapi import Request
from hypothesis import given
from hypothesis import strategies as st

from bullflow.errors import Limited
from bullflow.http.bodies import LARGE, PIECE, in_pieces
from bullflow.http.problems import TooLarge


class Sent:
    """What of a request its body is read from."""

    def __init__(self, chunks: Sequence[bytes]) -> None:
        self._chunks = chunks

    async def stream(self) -> AsyncIterator[bytes]:
        for chunk in self._chunks:
            yield chunk


async def received(chunks: Sequence[bytes], *, limit: int = 2**30, large: Any = lambda: None) -> list[bytearray]:
    return await in_pieces(cast("Request", Sent(chunks)), limit, large)


@given(st.lists(st.integers(0, 3 * PIECE).map(lambda size: b"x" * size), max_size=6), st.binary(max_size=50))
async def test_it_is_the_same_however_it_comes(chunks: list[bytes], last: bytes) -> None:
    pieces = await received([*chunks, last])

    assert b"".join(pieces) == b"".join(chunks) + last


async def test_what_comes_byte_by_byte_is_put_together() -> None:
    pieces = await received([b"x"] * (3 * PIECE))

    assert list(map(len, pieces)) == [PIECE] * 3


async def test_pieces_do_not_grow_with_the_body() -> None:
    pieces = await received([b"x" * (PIECE // 3)] * 100)

    assert max(map(len, pieces)) <= PIECE


@pytest.mark.parametrize(("size", "called"), [(LARGE, 0), (LARGE + 1, 1), (5 * LARGE, 1)])
async def test_it_is_told_once_that_a_body_is_large_and_before_it_is_there(size: int, called: int) -> None:
    told: list[None] = []

    await received([b"x" * 1000] * (size // 1000) + [b"x" * (size % 1000)], large=lambda: told.append(None))

    assert len(told) == called


async def test_nothing_more_is_read_of_one_that_is_too_large_or_too_much() -> None:
    def refuse() -> None:
        raise Limited("too many", timedelta(seconds=1))

    def endless() -> Sequence[bytes]:
        return cast("Sequence[bytes]", iter(lambda: b"x" * 1000, b""))

    with pytest.raises(TooLarge):
        await received(endless(), limit=10 * LARGE)
    with pytest.raises(Limited):
        await received(endless(), large=refuse)
