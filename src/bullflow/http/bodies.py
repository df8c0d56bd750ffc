"""Request bodies: cut off while they are read."""

from fastapi import Request

from bullflow.http.problems import NotJson, TooLarge


async def read_body(request: Request, limit: int, *, may_be_empty: bool = False) -> bytes:
    """The bytes of a body that is said to be JSON; raises TooLarge or NotJson."""
    if may_be_empty and _is_empty(request):
        return b""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json" and not kind.endswith("+json"):
        raise NotJson(kind or "nothing")
    declared = request.headers.get("content-length", "")
    if declared.isdigit() and int(declared) > limit:
        raise TooLarge(limit)
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > limit:
            raise TooLarge(limit)
    return bytes(body)


def _is_empty(request: Request) -> bool:
    return "transfer-encoding" not in request.headers and request.headers.get("content-length", "0") == "0"
