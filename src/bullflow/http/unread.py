"""Whether something of a request's body is still to come: its connection can serve no other request before it has."""

from fastapi import Request


def has_no_body(request: Request) -> bool:
    """Whether the request says that it has none."""
    return "transfer-encoding" not in request.headers and request.headers.get("content-length", "0") == "0"


def note_read(request: Request) -> None:
    """The body was read to its end."""
    request.state.body_was_read = True


def has_more(request: Request) -> bool:
    """Whether the request has a body that was not read to its end."""
    return not (has_no_body(request) or getattr(request.state, "body_was_read", False))
