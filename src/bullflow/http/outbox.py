"""What waits to be sent to one client: bounded, so that a slow client costs a fixed amount of memory."""

import asyncio


class TooSlow(Exception):
    """The client has not taken its messages; it may come back and resume."""


class Outbox:
    """Messages for one client. Past its bound it stays full, and `take` raises TooSlow at once."""

    def __init__(self, bound: int) -> None:
        self._messages: asyncio.Queue[bytes | None] = asyncio.Queue(bound)
        self._overflowed = asyncio.Event()

    def put(self, message: bytes) -> None:
        """Add a message without waiting; for live ones, whose sender serves others too."""
        try:
            self._messages.put_nowait(message)
        except asyncio.QueueFull:
            self.overflow()

    def drop_or_put(self, message: bytes) -> None:
        """Add a message that may be left out when the client is behind."""
        if self._messages.qsize() < self._messages.maxsize // 2:
            self.put(message)

    async def put_when_room(self, message: bytes) -> None:
        """Add a message as soon as there is room; for what is read from the log at the client's own pace."""
        await self._messages.put(message)

    def overflow(self) -> None:
        """Give the client up; wakes `take` even while it waits."""
        self._overflowed.set()
        if self._messages.empty():
            self._messages.put_nowait(None)

    @property
    def overflowed(self) -> bool:
        return self._overflowed.is_set()

    async def take(self) -> bytes:
        """The next message; raises TooSlow when the client has been given up."""
        message = await self._messages.get()
        if message is None or self.overflowed:
            raise TooSlow
        return message
