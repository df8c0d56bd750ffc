"""Uvicorn's HTTP, with bounds where it has none: how long the head of a request may take to come, and how large it is.

Uvicorn waits for the head of a first request for ever, and collects headers as long as any come. Bodies have their own
bounds (`bodies`), and so have connections that are idle between requests (uvicorn's `timeout_keep_alive`).
"""

import asyncio
from datetime import timedelta
from typing import cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from bullflow.http.problems import LINGERS

HEAD_WITHIN = timedelta(seconds=20)
LARGEST_HEAD = 64 * 1024
"""Bytes."""

AROUND_A_CHUNK = 16
"""Bytes: its length, and the ends of lines."""

_TOO_LARGE = b"HTTP/1.1 431 Request Header Fields Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
_TOO_SLOW = b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


class BoundedProtocol(HttpToolsProtocol):
    """One connection."""

    _head_bytes = 0
    _is_refused = False
    _awaiting_head: asyncio.TimerHandle | None = None
    _lingering: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(cast("asyncio.Transport", transport))
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._has_head()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._is_refused:
            return
        self._head_bytes += len(data)
        super().data_received(data)
        if self._head_bytes > LARGEST_HEAD:
            self._refuse(_TOO_LARGE)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        if self._awaiting_head is None:
            self._await_head()

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._awaiting_head is not None:  # what follows a body in chunks is no head any more
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._has_head()
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        # A body has bounds of its own; only what stands around its chunks is counted here.
        self._head_bytes = max(0, self._head_bytes - len(body) - AROUND_A_CHUNK)
        super().on_body(body)

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self.cycle.more_body and not self.transport.is_closing():
            # It is answered, and what still comes of it is wanted by nobody.
            self._lingering = self.loop.call_later(LINGERS.total_seconds(), self.transport.close)

    def on_message_complete(self) -> None:
        if self._lingering is not None:
            self._lingering.cancel()
            self._lingering = None
        super().on_message_complete()

    def _await_head(self) -> None:
        self._head_bytes = 0
        self._awaiting_head = self.loop.call_later(HEAD_WITHIN.total_seconds(), self._refuse, _TOO_SLOW)

    @property
    def _is_answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _has_head(self) -> None:
        if self._awaiting_head is not None:
            self._awaiting_head.cancel()
            self._awaiting_head = None

    def _refuse(self, answer: bytes) -> None:
        self._has_head()
        if self.transport.is_closing():
            return
        if self._is_answering:
            # Another request on this connection is still being answered; our words must not stand in that answer.
            self.transport.close()
            return
        self._is_refused = True
        self.transport.write(answer)
        # A connection that is closed with unread bytes is reset, and a client that still sends never sees the answer.
        self.loop.call_later(LINGERS.total_seconds(), self.transport.close)
