"""Has the engine go by what operators have set for queues.

The engine is asked for the rules that it goes by, and the store for all that was ever set; where they
differ, or where the store is not sure, the engine is given what the store says. So it does not matter
why they differ: the engine was away when the rules were set, it was wiped since, a process died between
its two writes, or somebody has changed a queue behind our back. A queue for which nothing was ever set
is left to whoever sees to it.

Two processes may apply different rules to one queue, the older last. Whoever applies therefore looks
afterwards whether the rules are still those that are set, and goes on until they are.
"""

from datetime import timedelta

from bullflow.engine.connection import Client
from bullflow.engine.control import apply_rules, queue_rules
from bullflow.store import queues
from bullflow.store.database import Database
from bullflow.store.queues import SetQueue

LOOK_EVERY = timedelta(seconds=2)


class Regulator:
    """The loop of the leader; `apply` is also for whoever has just set something."""

    def __init__(self, database: Database, client: Client, prefix: str) -> None:
        self._database = database
        self._client = client
        self._prefix = prefix

    async def run_once(self) -> int:
        """Apply what is due or was lost; returns how many queues were due."""
        names = [queue.name for queue in await self._database.look(queues.all_set)]
        if not names:
            return 0
        found = await queue_rules(self._client, self._prefix, names)
        # Read after the engine was: rules that were set between the two would be taken back for a moment.
        wanted = await self._database.look(queues.all_set)
        for queue in wanted:
            if queue.due or found.get(queue.name) != queue.rules:
                await self.apply(queue)
        # What was not due and differs is not counted: with two services on one engine there would be no end of it.
        return sum(queue.due for queue in wanted)

    async def apply(self, queue: SetQueue) -> None:
        """Give the engine these rules, and those that come up meanwhile; raises EngineAway, StoreAway."""
        current: SetQueue | None = queue
        while current is not None:
            await apply_rules(self._client, self._prefix, current.name, current.rules)
            async with self._database.write() as transaction:
                current = await queues.applied(transaction, current)
