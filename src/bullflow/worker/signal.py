"""How a handler learns that it should stop."""

import asyncio
from typing import Literal

Reason = Literal["cancelled", "timed out", "shutting down", "lock lost"]


class AbortSignal:
    """Set once, from the event loop; may be looked at from any thread."""

    def __init__(self) -> None:
        # Made when somebody waits, as few handlers do.
        self._event: asyncio.Event | None = None
        self._reason: Reason | None = None

    @property
    def aborted(self) -> bool:
        return self._reason is not None

    @property
    def reason(self) -> Reason | None:
        """Why, or None while there is no reason to stop."""
        return self._reason

    async def wait(self) -> Reason:
        """Return when the signal is set; for handlers that run in the event loop."""
        if self._reason is None:
            self._event = self._event or asyncio.Event()
            await self._event.wait()
        return self._reason or "cancelled"

    def abort(self, reason: Reason) -> None:
        """The first reason stays."""
        if self._reason is None:
            self._reason = reason
            if self._event is not None:
                self._event.set()
