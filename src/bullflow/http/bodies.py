"""Request bodies: cut off while they are read, and read where they keep nobody else waiting.

One that is not small is parsed and checked in a process of its own, and only a few large ones are there at once
(`Quotas.large_body`): what a body becomes in memory is many times its size.
"""

import asyncio
from collections.abc import Callable
from contextlib import ExitStack
from datetime import timedelta
from pickle import PickleBuffer
from typing import Any, TypeVar

from fastapi import Request

from bullflow.flow.access import Caller
from bullflow.http.problems import Compressed, NotJson, TooLarge, TooSlow
from bullflow.http.rooms import Rooms
from bullflow.http.unread import note_read

SMALL, LARGE = 32 * 1024, 256 * 1024
"""Bytes."""
READ_WITHIN = timedelta(seconds=60)

T = TypeVar("T")


async def read_large(request: Request, rooms: Rooms, caller: Caller, read: Callable[..., T], *arguments: Any) -> T:
    """What `read(body, *arguments)` makes of a body of this caller's that may be large.

    `read` is a function of a module. Raises what it raises and what `read_body` does, Limited, and ReaderAway.
    """
    with ExitStack() as held:
        body = await read_body(
            request,
            rooms.settings.max_body_bytes,
            large=lambda: held.enter_context(rooms.quotas.large_body(caller)),
        )
        if len(body) <= SMALL:
            return read(body, *arguments)
        held.enter_context(rooms.quotas.reading(caller))
        return await rooms.aside.do(read, PickleBuffer(body), *arguments)


async def read_body(request: Request, limit: int, *, large: Callable[[], object] = lambda: None) -> bytearray:
    """The bytes of a body that is said to be JSON; `large` is called when they become many.

    Raises NotJson, Compressed, TooLarge, TooSlow.
    """
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
            body = await _received(request, limit, large)
    except TimeoutError:
        raise TooSlow(READ_WITHIN) from None
    note_read(request)
    return body


async def _received(request: Request, limit: int, large: Callable[[], object]) -> bytearray:
    body = bytearray()
    async for chunk in request.stream():
        if len(body) <= LARGE < len(body) + len(chunk):
            large()
        body += chunk
        if len(body) > limit:
            raise TooLarge(limit)
    return body
