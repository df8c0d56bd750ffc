"""Who asks: by a token in the header, or by the session that a browser keeps in a cookie.

A browser sends its cookie along whatever page asks. So the cookie is not sent at all from other sites (SameSite), and
where something is to change, or a socket to be opened, the browser must say where the page is from (`Origin`). A
session counts for pages of the very host and port alone; `OwnOrigins` lets some others in, but not with it.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import timedelta
from typing import Annotated

from fastapi import Depends, Query
from starlette.requests import HTTPConnection

from bullflow.errors import Forbidden, StoreAway
from bullflow.flow.access import SESSION, Caller, Scope
from bullflow.http.paging import NO_NUL
from bullflow.http.rooms import InRooms
from bullflow.service.access import Access

LOOK_EVERY = timedelta(seconds=2)
"""How soon a socket is closed whose token was revoked, beside the moment for which it is believed."""
COOKIE = "bullflow_session"
_BEARER = "bearer "
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})

Whose = Annotated[
    str | None,
    Query(
        alias="user",
        max_length=100,
        pattern=NO_NUL,
        description="The name of another user, whose flows are meant; for admins.",
    ),
]


def shown_by(connection: HTTPConnection) -> str | None:
    """The token or session that comes with a request, None when there is none; raises Forbidden."""
    header = connection.headers.get("authorization", "")
    if header[: len(_BEARER)].lower() == _BEARER:
        token = header[len(_BEARER) :].strip()
        return "" if token.startswith(SESSION) else token  # which is for cookies alone
    origin = connection.headers.get("origin")
    session = connection.cookies.get(COOKIE)
    if session is None or not session.startswith(SESSION) or (origin is not None and not _is_own(origin, connection)):
        return None
    changes = connection.scope["type"] == "websocket" or connection.scope.get("method") not in _SAFE
    if changes and origin is None:
        raise Forbidden("A session is for pages of this service alone, and the request does not say where it is from.")
    return session


def _is_own(origin: str, connection: HTTPConnection) -> bool:
    """Whether a page of this very service asks: the same host and port. Cookies know sites, which have many."""
    return origin.lower().partition("://")[2] == connection.headers.get("host", "").lower()


def _with(scope: Scope) -> Callable[..., Awaitable[Caller]]:
    async def caller(connection: HTTPConnection, rooms: InRooms, user: Whose = None) -> Caller:
        found = await rooms.access.caller(shown_by(connection))
        found.must(scope)
        return found if user is None else await rooms.access.another(found, user)

    return caller


async def _known(connection: HTTPConnection, rooms: InRooms) -> Caller:
    return await rooms.access.caller(shown_by(connection))


Known = Annotated[Caller, Depends(_known)]
"""Somebody with whatever scopes, about themselves."""
Reads = Annotated[Caller, Depends(_with(Scope.READ))]
Writes = Annotated[Caller, Depends(_with(Scope.WRITE))]
Administers = Annotated[Caller, Depends(_with(Scope.ADMIN))]


async def until_refused(access: Access, shown: str | None) -> None:
    """Return when what was shown opens nothing any more; never where nothing needs to be shown."""
    if access.lets_all_in:
        await asyncio.Event().wait()
    while True:
        await asyncio.sleep(LOOK_EVERY.total_seconds())
        with suppress(StoreAway):
            if not await access.still_may(shown):
                return
