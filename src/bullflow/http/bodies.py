"""Request bodies: cut off while they are read."""

import asyncio
from datetime import timedelta

from fastapi import Request

from bullflow.http.problems import Compressed, NotJson, TooLarge, TooSlow

READ_WITHIN = timedelta(seconds=60)


async def read_body(request: Request, limit: int, *, may_be_empty: bool = False) -> bytes:
    """The bytes of a body that is said to be JSON; raises NotJson, Compressed, TooLarge, TooSlow."""
    if may_be_empty and _is_empty(request):
        return b""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json" and not kind.endswith("+json"):
        raise NotJson(kind or "nothing")
    declared = request.headers.get("content-length", "")
    if declared.isdigit() and int(declared) > limit:
        raise TooLarge(limit)
    encoding = request.headers.get("content-encoding", "identity")
    if encoding != "identity":
        raise Compressed(encoding)
    body = bytearray()
    try:
        async with asyncio.timeout(READ_WITHIN.total_seconds()):
            async for chunk in request.stream():
                body += chunk
                if len(body) > limit:
                    raise TooLarge(limit)
    except TimeoutError:
        raise TooSlow(READ_WITHIN) from None
    return bytes(body)


def _is_empty(request: Request) -> bool:
    return "transfer-encoding" not in request.headers and request.headers.get("content-length", "0") == "0"
