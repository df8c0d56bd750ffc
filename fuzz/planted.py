"""Flows that are there before the first case: ids that are only guessed name nothing."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from bullflow import AsyncClient
from fuzz.service import USER, Target

OF_EACH_KIND = 12

_CHILD = {"name": "download-video", "queueName": "flowQueue"}
_KINDS: tuple[dict[str, Any], ...] = (
    {"name": "watermark-video", "queueName": "flowQueue"},
    {"name": "watermark-video", "queueName": "flowQueue", "children": [_CHILD]},
    {"name": "watermark-video", "queueName": "nobody", "children": [_CHILD, {**_CHILD, "queueName": "nobody"}]},
)
"""One completes, one fails, one waits for ever."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Planted:
    """Ids, and the names of their queues and their user."""

    flows: Sequence[str]
    jobs: Sequence[str]
    queues: Sequence[str] = ("flowQueue", "nobody")
    users: Sequence[str] = (USER,)


async def plant(target: Target) -> Planted:
    """Returns when all that can end has ended."""
    async with AsyncClient(target.url, token=target.token) as client:
        created = await client.create_many(_KINDS * OF_EACH_KIND)
        for flow in created:
            if flow.queue_name != "nobody":
                await client.wait(flow.id, timeout=60)
    return Planted(
        flows=[flow.id for flow in created],
        jobs=[job.id for flow in created for job in flow.jobs],
    )
