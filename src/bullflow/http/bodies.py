"""Request bodies: cut off while they are read, and parsed once."""

from typing import Any

from fastapi import Request

from bullflow.http.problems import NotJson, TooLarge
from bullflow.wire import read_json


async def read_body(request: Request, limit: int) -> Any:
    """The body as JSON; raises TooLarge, NotJson or Malformed."""
    kind = request.headers.get("content-type", "application/json").partition(";")[0].strip().lower()
    if kind != "application/json" and not kind.endswith("+json"):
        raise NotJson(kind)
    declared = request.headers.get("content-length", "")
    if declared.isdigit() and int(declared) > limit:
        raise TooLarge(limit)
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > limit:
            raise TooLarge(limit)
    return read_json(bytes(body))
