"""Asks the engine until it is there to answer, for what must be done before a job can go on."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import TypeVar

from bullflow.errors import EngineAway
from bullflow.loop import LONGEST_PAUSE, Complaints, Pauses

T = TypeVar("T")


async def insist(
    act: Callable[[], Awaitable[T]], complaints: Complaints, *, longest_pause: timedelta = LONGEST_PAUSE
) -> T:
    """What `act` returns, however long the engine is away; `act` may be done more than once."""
    pauses: Pauses | None = None
    while True:
        try:
            return await act()
        except EngineAway as error:
            complaints.about(error)
            pauses = pauses or Pauses(longest_pause)
            await pauses.rest()
