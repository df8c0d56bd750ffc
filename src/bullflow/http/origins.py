"""Keeps other web sites out: a page in somebody's browser must not use a service that the browser can reach.

A request that carries an `Origin` must come from the service's own pages. And a service that is bound to
a loopback address answers only under loopback names (and those in `allowed_hosts`), so that a name that
was made to point at it (DNS rebinding) opens nothing.
"""

from collections.abc import Iterable
from ipaddress import ip_address
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from bullflow.http.problems import problem

_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


class OwnOrigins:
    """ASGI middleware; refuses with 403, and a WebSocket before it is accepted."""

    def __init__(
        self, app: ASGIApp, *, host: str, allowed_hosts: Iterable[str], allowed_origins: Iterable[str]
    ) -> None:
        self._app = app
        self._allowed = frozenset(name.lower() for name in allowed_hosts)
        self._allowed_origins = frozenset(origin.lower() for origin in allowed_origins)
        self._is_local = is_loopback(host)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] in ("http", "websocket"):
            refusal = self._refusal(Headers(scope=scope))
            if refusal is not None:
                await _refuse(scope, receive, send, refusal)
                return
        await self._app(scope, receive, send)

    def _refusal(self, headers: Headers) -> str | None:
        """Why this request is not served; None when it is."""
        host = headers.get("host", "").lower()
        name = _name(f"//{host}")
        if self._is_local and name not in _LOOPBACK | self._allowed and not is_loopback(name):
            return f"This service does not go by the name {name!r}; name it in BULLFLOW_ALLOWED_HOSTS."
        origin = headers.get("origin")
        if (
            origin is None
            or origin.lower() in self._allowed_origins
            or origin.lower().partition("://")[2] == host
            or _name(origin) in self._allowed
        ):
            return None
        return (
            f"Pages of {origin} may not use this service. If they are its own, behind a proxy, name their host in "
            "BULLFLOW_ALLOWED_HOSTS; if they are another site's, name it in BULLFLOW_CORS_ORIGINS."
        )


def _name(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


def is_loopback(name: str) -> bool:
    """Whether what listens under this name, or on this address, is reached from this machine alone."""
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return name in _LOOPBACK


async def _refuse(scope: Scope, receive: Receive, send: Send, why: str) -> None:
    if scope["type"] == "websocket":
        await receive()  # the request to connect, which an answer has to follow
        await send({"type": "websocket.close", "code": 1008, "reason": ""})
    else:
        # Its body will not be read, so the connection cannot serve another request.
        await problem(403, why, headers={"Connection": "close"})(scope, receive, send)
