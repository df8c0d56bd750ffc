"""Whether something of a request is still to be read, which would be taken for the next request on its connection."""

from fastapi import Request

_READ = "body_was_read"


def has_no_body(request: Request) -> bool:
    return "transfer-encoding" not in request.headers and request.headers.get("content-length", "0") == "0"


def note_read(request: Request) -> None:
    """The body was read to its end."""
    setattr(request.state, _READ, True)


def has_more(request: Request) -> bool:
    """Whether the request has a body that was not read to its end."""
    return not (has_no_body(request) or getattr(request.state, _READ, False))
