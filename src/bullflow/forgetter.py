"""Deletes flows some time after they have ended.

A look finds those whose end lies long enough back and of which nothing is open or due, hides some of
them (`store.erasing`), and erases what is hidden: by this loop, or by somebody whose process has ended
in the middle of a DELETE. While a whole batch was found the next look comes at once; a few flows wait
for the look that is due, so that a steady stream of them is taken in batches.

Flows that are kept for ever are not looked at; what was hidden is erased all the same.
"""

from datetime import timedelta

from structlog.typing import FilteringBoundLogger

from bullflow.clock import Clock, milliseconds
from bullflow.store import erasing
from bullflow.store.database import Database
from bullflow.store.erasing import Eraser

LOOK_EVERY = timedelta(seconds=10)
FLOWS_A_ROUND = 100


class Forgetter:
    """The loop. Without `keep`, flows are kept for ever."""

    def __init__(self, database: Database, *, keep: timedelta | None, clock: Clock, log: FilteringBoundLogger) -> None:
        self._database = database
        self._keep = keep
        self._clock = clock
        self._eraser = Eraser(database)
        self._since = 0
        self.log = log

    async def run_once(self) -> int:
        """Delete some flows; returns how many, 0 when no more of them need be looked for soon."""
        if self._keep is not None:
            await self._hide(self._clock() - milliseconds(self._keep))
        hidden = await self._database.look(erasing.hidden, FLOWS_A_ROUND)
        await self._eraser.erase(hidden)
        if hidden:
            self.log.debug("forgetter.forgot", flows=len(hidden))
        return len(hidden) if len(hidden) == FLOWS_A_ROUND else 0

    async def _hide(self, before: int) -> None:
        old = await self._database.look(erasing.ended, self._since, before, FLOWS_A_ROUND)
        if old:
            async with self._database.write(replayable=True) as transaction:
                await erasing.hide_ended(transaction, list(old), before)
        # Those that cannot go yet are not looked at again for each batch of a backlog.
        self._since = max(old.values()) if len(old) == FLOWS_A_ROUND else 0
