"""What the routes need from the rooms below, gathered in one place by `serve`."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends
from starlette.requests import HTTPConnection

from bullflow.flow.queues import QueueFacts
from bullflow.flow.redact import Rules
from bullflow.http.aside import Aside
from bullflow.notifier import Notifier
from bullflow.service.access import Access
from bullflow.service.cancel import Cancel
from bullflow.service.delete import Delete
from bullflow.service.explain import Explain
from bullflow.service.quotas import Quotas
from bullflow.service.regulate import Regulate
from bullflow.service.retry import Retry
from bullflow.service.submit import Submit
from bullflow.settings import Settings
from bullflow.store.database import Database

Probe = Callable[[], Awaitable[None]]
Gauge = Callable[[], Awaitable[int]]
AskQueues = Callable[[Sequence[str]], Awaitable[Mapping[str, QueueFacts]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rooms:
    """`probes` ask each system that the service stands on whether it is there; they raise when it is not.
    `gauges` measure how far the work is behind; they raise when that cannot be told.

    `queue_facts` asks the engine how queues stand; it raises EngineAway.
    """

    settings: Settings
    database: Database
    submit: Submit
    cancel: Cancel
    retry: Retry
    delete: Delete
    explain: Explain
    regulate: Regulate
    queue_facts: AskQueues
    notifier: Notifier
    access: Access
    quotas: Quotas
    redact: Rules
    aside: Aside
    probes: dict[str, Probe]
    gauges: dict[str, Gauge]


async def _rooms(connection: HTTPConnection) -> Rooms:
    rooms: Rooms = connection.app.state.rooms
    return rooms


InRooms = Annotated[Rooms, Depends(_rooms)]
