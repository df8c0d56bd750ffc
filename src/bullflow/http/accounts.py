"""The routes about who asks: oneself, signing in and out with a browser, and what everybody did."""

from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Query, Request, Response

from bullflow import wire
from bullflow.clock import iso
from bullflow.errors import Conflict
from bullflow.http.bodies import read_body
from bullflow.http.callers import COOKIE, Administers, Known
from bullflow.http.paging import NO_NUL, Cursor, Limit, after_number
from bullflow.http.problems import responses
from bullflow.http.rooms import InRooms
from bullflow.http.shapes import answer
from bullflow.store import acts, cursors
from bullflow.store.acts import ActView

LARGEST_SIGN_IN = 4_096

router = APIRouter(tags=["accounts"])

Actor = Annotated[
    str | None, Query(max_length=200, pattern=NO_NUL, description="What this user did alone, as `user` says too.")
]


@router.get("/me", response_model=wire.Me, responses=responses(), summary="Who am I?")
async def me(rooms: InRooms, caller: Known) -> Response:
    """The user whose token or session the request shows, and what it may do."""
    return answer(
        {
            "name": caller.name,
            "userId": caller.user_id,
            "auth": rooms.settings.auth,
            "scopes": sorted(caller.scopes),
            "queues": caller.queues,
            "tokenId": caller.token_id,
        }
    )


@router.post(
    "/session",
    status_code=204,
    response_class=Response,
    responses=responses(400, 408, 409, 413, 415, 422),
    summary="Sign in with a browser",
    openapi_extra={
        "security": [],
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": {"$ref": "#/components/schemas/SignIn"}}},
        },
    },
)
async def sign_in(request: Request, rooms: InRooms) -> Response:
    """Show a token once; the browser keeps a session instead, which no script can read and no other site can use."""
    if rooms.access.lets_all_in:
        raise Conflict("Nobody needs to sign in here: the service runs without tokens (BULLFLOW_AUTH).")
    body = await read_body(request, LARGEST_SIGN_IN)
    secret = await rooms.access.sign_in(wire.read_sign_in(wire.read_json(body)))
    response = Response(status_code=204)
    seconds = round(rooms.settings.session_length.total_seconds())
    response.set_cookie(COOKIE, secret.text, max_age=seconds, **_cookie(request))
    return response


@router.delete(
    "/session",
    status_code=204,
    response_class=Response,
    responses=responses(),
    summary="Sign out",
    openapi_extra={"security": []},
)
async def sign_out(request: Request, rooms: InRooms) -> Response:
    """End the browser's session; what is none is none afterwards as well."""
    await rooms.access.sign_out(request.cookies.get(COOKIE, ""))
    response = Response(status_code=204)
    response.delete_cookie(COOKIE, **_cookie(request))
    return response


def _cookie(request: Request) -> dict[str, Any]:
    return {"httponly": True, "samesite": "strict", "secure": request.url.scheme == "https", "path": "/"}


@router.get("/audit", response_model=wire.ActPage, responses=responses(404, 422), summary="Who did what")
async def list_acts(
    rooms: InRooms, caller: Administers, actor: Actor = None, limit: Limit = 50, cursor: Cursor = None
) -> Response:
    """Newest first: what was created, cancelled, retried and deleted; queues that were set; tokens; who signed in."""
    actor = actor or caller.acts_for
    listing = f"audit:{actor or ''}"
    before = None if cursor is None else after_number(listing, cursor, 0)
    found = await rooms.database.look(acts.newest, actor, before, limit + 1)
    shown = found[:limit]
    following = cursors.encode(listing, str(shown[-1].n)) if len(found) > limit else None
    return answer({"items": [_act_shape(act) for act in shown], "next": following})


def _act_shape(act: ActView) -> dict[str, Any]:
    return {
        "n": act.n,
        "at": iso(act.at),
        "actor": act.actor,
        "tokenId": act.token_id,
        "action": act.action,
        "target": act.target,
        "data": orjson.Fragment(act.data),
    }
