"""Request bodies: cut off while they are read, and read where they keep nobody else waiting.

One that is not small is parsed and checked in a process of its own, and only a few large ones are there at once
(`Quotas.large_body`): what a body becomes in memory is many times its size.
"""

import asyncio
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from datetime import timedelta
from pickle import PickleBuffer
from typing import Any, TypeVar

from fastapi import Request

from bullflow.flow.access import Caller
from bullflow.http.problems import Compressed, NotJson, TooLarge, TooSlow
from bullflow.http.rooms import Rooms
from bullflow.http.unread import note_read

SMALL, PIECE, LARGE = 32 * 1024, 128 * 1024, 256 * 1024
"""Bytes."""
READ_WITHIN = timedelta(seconds=60)

T = TypeVar("T")


async def read_large(request: Request, rooms: Rooms, caller: Caller, read: Callable[..., T], *arguments: Any) -> T:
    """What `read(body, *arguments)` makes of a body of this caller's that may be large.

    `read` is a function of a module. Raises what it raises and what `read_body` does, Limited, and ReaderAway.
    """
    with ExitStack() as held:
        pieces = await _pieces(
            request,
            rooms.settings.max_body_bytes,
            large=lambda: held.enter_context(rooms.quotas.large_body(caller)),
        )
        if sum(map(len, pieces)) <= SMALL:
            return read(b"".join(pieces), *arguments)
        held.enter_context(rooms.quotas.reading(caller))
        return await rooms.aside.do(_read_pieces, read, list(map(PickleBuffer, pieces)), *arguments)


def _read_pieces(read: Callable[..., T], pieces: Iterable[bytes], *arguments: Any) -> T:
    return read(b"".join(pieces), *arguments)


async def read_body(request: Request, limit: int) -> bytes:
    """The bytes of a body that is said to be JSON; raises NotJson, Compressed, TooLarge, TooSlow."""
    return b"".join(await _pieces(request, limit, large=lambda: None))


async def _pieces(request: Request, limit: int, *, large: Callable[[], object]) -> list[bytearray]:
    """The body as `in_pieces` has it; raises what `read_body` does."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json" and not kind.endswith("+json"):
        raise NotJson(kind or "nothing")
    encoding = request.headers.get("content-encoding", "identity")
    if encoding != "identity":
        raise Compressed(encoding)
    declared = request.headers.get("content-length", "")
    if declared.isdigit() and int(declared) > limit:
        raise TooLarge(limit)
    try:
        async with asyncio.timeout(READ_WITHIN.total_seconds()):
            pieces = await in_pieces(request, limit, large)
    except TimeoutError:
        raise TooSlow(READ_WITHIN) from None
    note_read(request)
    return pieces


async def in_pieces(request: Request, limit: int, large: Callable[[], object]) -> list[bytearray]:
    """What comes, in pieces; `large` is called when it becomes much.

    One that grows to its whole size is copied to another place again and again, and everybody waits meanwhile. What
    comes byte by byte is put together: a byte alone takes the place of 40.
    """
    pieces, size = [bytearray()], 0
    async for chunk in request.stream():
        if size <= LARGE < size + len(chunk):
            large()
        size += len(chunk)
        if size > limit:
            raise TooLarge(limit)
        if len(pieces[-1]) + len(chunk) <= PIECE:
            pieces[-1] += chunk
        else:
            pieces.append(bytearray(chunk))
    return pieces
