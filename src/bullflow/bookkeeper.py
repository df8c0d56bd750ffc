"""Keeps the books short: what users have stored is put together, old acts and sessions that are over are removed."""

from datetime import timedelta

from structlog.typing import FilteringBoundLogger

from bullflow.clock import Clock, milliseconds
from bullflow.store import acts, tokens, usage
from bullflow.store.database import Database

LOOK_EVERY = timedelta(seconds=10)


class Bookkeeper:
    """The loop. Without `keep`, acts are kept for ever."""

    def __init__(self, database: Database, *, keep: timedelta | None, clock: Clock, log: FilteringBoundLogger) -> None:
        self._database = database
        self._keep = keep
        self._clock = clock
        self.log = log

    async def run_once(self) -> int:
        """Returns how many rows there are less: some more may be left."""
        now = self._clock()
        async with self._database.write(replayable=True) as transaction:
            gone = await usage.settle(transaction) + await tokens.forget_sessions(transaction, now)
            if self._keep is not None:
                gone += await acts.forget(transaction, now - milliseconds(self._keep))
        return gone
