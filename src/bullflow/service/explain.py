"""Explain a flow: what holds back its unfinished parts, by the store, and by the engine where only it knows."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from bullflow.clock import Clock
from bullflow.errors import Away
from bullflow.flow.explain import Example, Explanation, Group, OpenChildren, Place, Situation, explain
from bullflow.flow.queues import QueueFacts
from bullflow.flow.states import JobStatus
from bullflow.store import leases, openings, states
from bullflow.store.database import Database

EXAMPLES = 10
CHILDREN = 10
PLACED_PER_GROUP = 3
"""Finding a job's place in a long queue takes the engine a while, so only the first of each group are looked up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Explained:
    """Reasons, what is held back first; and why the engine does not answer, if so."""

    flow_id: str
    status: str
    reasons: list[Explanation]
    children: dict[str, OpenChildren]
    engine_away: str | None


AskQueues = Callable[[Sequence[str]], Awaitable[Mapping[str, QueueFacts]]]
AskPlaces = Callable[[Sequence[Example]], Awaitable[Mapping[str, Place]]]


class Explain:
    """The use case; it changes nothing. `engine_takes` and both questions to the engine raise EngineAway."""

    def __init__(
        self,
        database: Database,
        *,
        engine_takes: Callable[[], Awaitable[None]],
        queue_facts: AskQueues,
        places: AskPlaces,
        clock: Clock,
    ) -> None:
        self._database = database
        self._engine_takes = engine_takes
        self._queue_facts = queue_facts
        self._places = places
        self._clock = clock

    async def __call__(self, user_id: str, flow_id: str) -> Explained:
        """Raises NotFound, StoreAway. An engine that is away is a reason, not an error."""
        async with self._database.read() as snapshot:
            flow = await states.flow(snapshot, user_id, flow_id, lock=False)
            groups = await openings.groups(snapshot, flow_id, EXAMPLES)
            parents = [job.id for group in groups if _waits(group) for job in group.examples]
            children = await openings.open_children(snapshot, parents, CHILDREN)
            works = await leases.is_held(snapshot, leases.RECORDER, self._clock())
        situation = Situation(dispatch_due=flow.dispatch_due, groups=groups, children=children, recorder_works=works)
        situation = await self._with_engine(situation)
        return Explained(
            flow_id=flow_id,
            status=flow.status.value,
            reasons=explain(situation, self._clock()),
            children=children,
            engine_away=situation.engine_away,
        )

    async def _with_engine(self, situation: Situation) -> Situation:
        asked = [group for group in situation.groups if not _waits(group)]
        jobs = [job for group in situation.groups for job in group.examples[:PLACED_PER_GROUP]]
        try:
            await self._engine_takes()
            queues = await self._queue_facts(sorted({group.queue_name for group in asked}))
            found = await self._places(jobs)
        except Away as error:
            return replace(situation, engine_away=error.reason)
        return replace(situation, queues=queues, places=found)


def _waits(group: Group) -> bool:
    return group.status is JobStatus.WAITING_CHILDREN
