"""What goes over the wire, as bullflow's own words: addresses, bodies, and answers that are errors."""

import json
from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import quote

import httpx
from pydantic import ValidationError

from bullflow.errors import ApiError, BullflowError, Fault, Invalid, Misconfigured, NotFound
from bullflow.wire import Problem


class Thing(NamedTuple):
    """What a request is about: for its path, and for saying that it is not there."""

    kind: str
    key: str

    def path(self) -> str:
        if not self.key:
            raise NotFound(self.kind, self.key)
        # `quote` leaves dots alone, and the segments "." and ".." would be resolved before they are sent.
        return f"/{self.kind}s/{quote(self.key, safe='').replace('.', '%2E')}"


def checked_url(url: str) -> str:
    """The service's address without a slash at its end; raises Misconfigured when it is none."""
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL as error:
        raise Misconfigured(f"{url!r} is not an address: {error}") from error
    if parsed.scheme not in ("http", "https") or not parsed.host:
        raise Misconfigured(f"{url!r} is not the address of a service; it looks like http://127.0.0.1:8420")
    return url.rstrip("/")


def as_json(flow: Mapping[str, Any]) -> bytes:
    """A request's body; raises Invalid for what JSON cannot say, such as NaN or bytes."""
    try:
        return json.dumps(flow, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise Invalid([Fault("", f"cannot be written as JSON: {error}")]) from error


def problem(response: httpx.Response, thing: Thing | None) -> BullflowError:
    """The error that an unsuccessful answer stands for."""
    try:
        told = Problem.model_validate_json(response.content)
    except ValidationError:
        return ApiError(response.status_code, response.reason_phrase, _first_words(response.text))
    if response.status_code == httpx.codes.NOT_FOUND and thing is not None:
        return NotFound(*thing)
    faults = [Fault(fault.pointer, fault.detail) for fault in told.errors]
    return ApiError(response.status_code, told.title, told.detail, faults)


def not_ours(status: int, source: str) -> ApiError:
    """The error for an answer that is no answer of bullflow."""
    return ApiError(status, "Unexpected answer", f"what {source} sends is not bullflow's; is the address right?")


def _first_words(text: str) -> str:
    return " ".join(text.split())[:200] or "(no text)"
