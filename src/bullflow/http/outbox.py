"""What waits to be sent to one client: bounded, so that a slow client costs a fixed amount of memory.

What is read from the log at the client's own pace may fill half of it; the other half is for live
entries, so that a client is not taken for slow just because it has caught up.
"""

import asyncio
from collections import deque


class GivenUp(Exception):
    """The client gets no more: it has not taken its messages, or the service stops. It may come back and resume."""


class Outbox:
    """Messages for one client. Past its bound the client is given up: `take` raises GivenUp from then on."""

    def __init__(self, bound: int) -> None:
        self._bound = bound
        self._messages: deque[bytes] = deque()
        self._filled = asyncio.Event()
        self._room = asyncio.Event()
        self._given_up = asyncio.Event()

    def put(self, message: bytes) -> None:
        """Add a message without waiting; for live ones, whose sender serves others too."""
        if len(self._messages) < self._bound:
            self._add(message)
        else:
            self.give_up()

    def drop_or_put(self, message: bytes) -> None:
        """Add a message that may be left out when the client is behind."""
        if len(self._messages) < self._bound // 2:
            self._add(message)

    async def put_when_room(self, message: bytes) -> None:
        """Add a message as soon as there is room; for what is read from the log at the client's own pace."""
        while len(self._messages) >= max(1, self._bound // 2):
            self._room.clear()
            await self._room.wait()
        self._add(message)

    async def take(self) -> bytes:
        """The next message; raises GivenUp when the client has been given up."""
        while not self._messages and not self.is_given_up:
            self._filled.clear()
            await self._filled.wait()
        if self.is_given_up:
            raise GivenUp
        message = self._messages.popleft()
        if len(self._messages) <= self._bound // 4:
            self._room.set()
        return message

    @property
    def is_given_up(self) -> bool:
        return self._given_up.is_set()

    async def given_up(self) -> None:
        """Return when the client has been given up, also while a message is on its way and will not go through."""
        await self._given_up.wait()

    def give_up(self) -> None:
        self._given_up.set()
        self._filled.set()

    def _add(self, message: bytes) -> None:
        self._messages.append(message)
        self._filled.set()
