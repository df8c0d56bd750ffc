"""Errors as RFC 9457 problems: the one place where bullflow's errors meet HTTP's numbers."""

import asyncio
import math
from contextlib import suppress
from datetime import timedelta
from http import HTTPStatus
from typing import Any

import orjson
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.types import Receive, Scope, Send

from bullflow import telemetry
from bullflow.errors import (
    Away,
    Conflict,
    Fault,
    Forbidden,
    Invalid,
    Limited,
    Malformed,
    NotFound,
    StoreFull,
    Unauthenticated,
)
from bullflow.http.unread import has_more
from bullflow.wire import Problem

MEDIA_TYPE = "application/problem+json"
LINGERS = timedelta(seconds=2)

_log = telemetry.logger("http")


class TooLarge(HTTPException):
    """A request body over the limit."""

    def __init__(self, limit: int) -> None:
        super().__init__(413, f"The body may have at most {limit} bytes here (BULLFLOW_MAX_BODY_BYTES).")


class NotJson(HTTPException):
    """A body of another type. Asking for JSON also keeps other sites' forms out."""

    def __init__(self, found: str) -> None:
        super().__init__(415, f"Send the body as application/json, not as {found}.")


class Compressed(HTTPException):
    """A body that would have to be unpacked, to nobody knows what size."""

    def __init__(self, encoding: str) -> None:
        super().__init__(415, f"Send the body as it is, not as {encoding}.")


class TooSlow(HTTPException):
    """A request body that does not come to an end."""

    def __init__(self, within: timedelta) -> None:
        super().__init__(408, f"The body has not come within {within.total_seconds():g} seconds.")


class LastAnswer(Response):
    """The last one on its connection, because the request's body was not read to its end.

    What still comes of it is read and forgotten for a moment: a connection that is closed with unread bytes is reset,
    and a client that is still sending would never see the answer.
    """

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        await send({"type": "http.response.body", "body": self.body, "more_body": True})
        with suppress(TimeoutError):
            async with asyncio.timeout(LINGERS.total_seconds()):
                while (await receive()).get("more_body"):
                    pass
        await send({"type": "http.response.body", "body": b""})


def problem(
    status: int, detail: str, faults: tuple[Fault, ...] = (), headers: dict[str, str] | None = None
) -> Response:
    body: dict[str, Any] = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
    }
    if faults:
        body["errors"] = [{"pointer": fault.pointer, "detail": fault.detail} for fault in faults]
    is_last = headers is not None and headers.get("Connection") == "close"
    return (LastAnswer if is_last else Response)(orjson.dumps(body), status, headers, MEDIA_TYPE)


def responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The error answers of a route, for OpenAPI."""
    schema = {"schema": {"$ref": "#/components/schemas/Problem"}}
    return {
        status: {
            "description": _DESCRIPTIONS[status],
            "content": {MEDIA_TYPE: {**schema, "example": _example(status)}},
        }
        for status in (*statuses, 401, 403, 503)
    }


_DESCRIPTIONS = {
    400: "The body is not JSON.",
    401: "The request shows no token that opens anything.",
    403: "The token has not the scope; or the request comes from a page, or under a name, that may not use this.",
    404: "There is no such thing.",
    408: "The body has not come to an end in time.",
    409: "The request contradicts what is there.",
    413: "The body is too large, or all that the user has stored would be.",
    415: "The body is not sent as JSON.",
    422: "Something in the request breaks a rule; every fault is named with its JSON pointer.",
    429: "The user has reached a limit; `Retry-After` says when to come again.",
    503: "A system that the service stands on is away; try again later.",
}


def _example(status: int) -> dict[str, Any]:
    example = Problem(title=HTTPStatus(status).phrase, status=status, detail=_DESCRIPTIONS[status])
    shown = example.model_dump(by_alias=True, exclude={"errors"})
    return {**shown, "errors": [{"pointer": "/name", "detail": "is required"}]} if status == 422 else shown


def install(app: FastAPI) -> None:
    """Give every error its answer."""
    app.add_exception_handler(Invalid, _invalid)
    app.add_exception_handler(RequestValidationError, _bad_parameter)
    app.add_exception_handler(NotFound, _not_found)
    app.add_exception_handler(Conflict, _conflict)
    app.add_exception_handler(Unauthenticated, _unauthenticated)
    app.add_exception_handler(Forbidden, _forbidden)
    app.add_exception_handler(Limited, _limited)
    app.add_exception_handler(Away, _away)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(Exception, _unexpected)


def _answer(
    request: Request, status: int, detail: str, faults: tuple[Fault, ...] = (), headers: dict[str, str] | None = None
) -> Response:
    """A problem; where the request's body was not read to its end, the last answer on its connection."""
    closing = {"Connection": "close"} if has_more(request) else {}
    return problem(status, detail, faults, {**(headers or {}), **closing})


async def _invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, Invalid)  # noqa: S101 - for the type checker; the handler is installed for it
    if isinstance(error, Malformed):
        return _answer(request, 400, error.faults[0].detail)
    many = len(error.faults)
    detail = f"{many} fault{'s' if many > 1 else ''} in the request; nothing was stored."
    return _answer(request, 422, detail, error.faults)


async def _bad_parameter(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101
    faults = tuple(Fault(f"?{part['loc'][-1]}", part["msg"]) for part in error.errors())
    return _answer(request, 422, "A parameter of the request breaks a rule.", faults)


async def _not_found(request: Request, error: Exception) -> Response:
    return _answer(request, 404, str(error))


async def _conflict(request: Request, error: Exception) -> Response:
    return _answer(request, 409, str(error))


async def _unauthenticated(request: Request, error: Exception) -> Response:
    return _answer(request, 401, str(error), headers={"WWW-Authenticate": 'Bearer realm="bullflow"'})


async def _forbidden(request: Request, error: Exception) -> Response:
    return _answer(request, 403, str(error))


async def _limited(request: Request, error: Exception) -> Response:
    assert isinstance(error, Limited)  # noqa: S101
    seconds = math.ceil(error.retry_after.total_seconds())
    status = 413 if isinstance(error, StoreFull) else 429
    return _answer(request, status, str(error), headers={"Retry-After": str(max(1, seconds))})


async def _away(request: Request, error: Exception) -> Response:
    return _answer(request, 503, str(error), headers={"Retry-After": "1"})


async def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101
    detail = error.detail
    headers = dict(error.headers or {})
    if error.status_code == 404:
        detail = f"There is nothing at {request.url.path}; /docs shows what there is."
    if error.status_code == 405 and (methods := _methods(request)):
        headers["Allow"] = ", ".join(methods)
    return _answer(request, error.status_code, detail, headers=headers)


def _methods(request: Request) -> list[str]:
    """All that the contract has at this path; the route that refuses knows only of itself."""
    path = getattr(request.scope.get("route"), "path_format", "")
    return [method.upper() for method in request.app.openapi()["paths"].get(path, ())]


async def _unexpected(request: Request, error: Exception) -> Response:
    _log.error("http.failed", path=request.url.path, exc_info=error)
    return _answer(request, 500, "The service has a fault; its log says more.")
