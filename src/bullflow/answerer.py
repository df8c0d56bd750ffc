"""Answers what workers ask of the store: values of jobs that the engine has forgotten (`engine.asking`)."""

from datetime import timedelta

from bullflow.engine.asking import Ask, Asks
from bullflow.engine.keys import OURS, answer_key
from bullflow.store import remains
from bullflow.store.database import Database

BLOCK = timedelta(seconds=5)


class Answerer:
    """The loop of the leader."""

    def __init__(self, database: Database, asks: Asks, prefix: str) -> None:
        self._database = database
        self._asks = asks
        self._answers = answer_key(prefix, "")

    async def run_once(self) -> int:
        """Answer one question. Waits for it, so it returns 1 even when there was none: the next round is due."""
        ask = await self._asks.next(BLOCK)
        if ask is not None and self._is_right(ask):
            async with self._database.read() as snapshot:
                name, children = await remains.of_job(snapshot, ask.job_id.rpartition("-")[0])
            await self._asks.answer(ask, name, children)
        return 1

    def _is_right(self, ask: Ask) -> bool:
        """Whoever can reach the engine can ask, and must not choose where answers go."""
        return OURS.fullmatch(ask.job_id) is not None and ask.reply.startswith(self._answers)
