"""What every answer tells a browser: not to guess, not to be framed, not to tell others where it was."""

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_USUAL = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    # An answer of the API is no page; what is one says for itself what it may load.
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
}
_OF_DOCS = {**_USUAL, "Content-Security-Policy": "frame-ancestors 'none'; base-uri 'none'; object-src 'none'"}
"""The page of the API's documentation comes from FastAPI, with a script in it and others from the net."""


class SafeHeaders:
    """ASGI middleware; a header that an answer has already stays as it is."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        usual = _OF_DOCS if scope["path"].startswith("/docs") else _USUAL

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in usual.items():
                    headers.setdefault(name, value)
            await send(message)

        await self._app(scope, receive, with_headers)
