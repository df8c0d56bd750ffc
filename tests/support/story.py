"""What is recorded of a flow, told as text that tests can compare: all but ids, times, stacks and workers.

    flow completed 3: created dispatched completed
      sum completed 3, attempts 1: waiting active completed
        give completed 1, attempts 1: active completed
        give completed 2, attempts 1: active completed

Each line has a status, a result or an error in brackets, and the entries of the log in their order; where
the name of an entry does not tell the state that it led to, as `retrying (delayed)`, it follows.
"""

import re
from collections.abc import Iterator, Sequence
from textwrap import dedent
from typing import Any

import orjson

from bullflow.flow.states import ENDED
from bullflow.wire import Event, FlowTree, JobError, JobNode
from support.eventually import eventually
from support.service import Service


def job(name: str, *children: dict[str, Any], queue: str, data: Any = None, **opts: Any) -> dict[str, Any]:
    """A job of a flow, or a flow, as a client asks for it."""
    return {"name": name, "queueName": queue, "data": data, "opts": opts, "children": list(children)}


async def story(service: Service, flow: dict[str, Any]) -> str:
    """Run a flow to its end, and tell what is recorded of it."""
    created = await service.create(flow)
    return await end_of_story(service, created.id)


async def end_of_story(service: Service, flow_id: str) -> str:
    """Wait for the end of a flow and of all its jobs, and tell what is recorded of it over REST."""
    await service.client.wait(flow_id, timeout=30)

    async def all_ended() -> bool:
        counts = (await service.client.get(flow_id)).counts
        return sum(counts[status] for status in ENDED) == sum(counts.values())

    await eventually(all_ended)
    answer = await service.http.get(f"/flows/{flow_id}/tree")
    return "\n".join(_told(FlowTree.model_validate(answer.json()), await service.log_of(flow_id)))


def expected(text: str) -> str:
    """The same, as it stands in a test."""
    return dedent(text).strip()


def _told(flow: FlowTree, log: Sequence[Event]) -> Iterator[str]:
    yield f"flow {flow.status} {_outcome(flow.result, flow.error)}: {_events(log, None)}"
    yield from _told_below(flow.root, log, "  ")


def _told_below(node: JobNode, log: Sequence[Event], indent: str) -> Iterator[str]:
    outcome = _outcome(node.result, node.error)
    yield f"{indent}{node.name} {node.status} {outcome}, attempts {node.attempts_made}: {_events(log, node.id)}"
    for child in node.children:
        yield from _told_below(child, log, indent + "  ")


def _outcome(result: Any, error: JobError | None) -> str:
    if error is None:
        return orjson.dumps(result, option=orjson.OPT_SORT_KEYS).decode()
    # The key or the name of the child, and perhaps its reason: tests of that have their own words.
    return f"({re.sub('^child .* failed.*$', 'a child failed', error.message)})"


def _events(log: Sequence[Event], job_id: str | None) -> str:
    return " ".join(_event(entry) for entry in log if entry.id == job_id)


def _event(entry: Event) -> str:
    name, status = entry.event.partition(".")[2], entry.data.get("status")
    return name if entry.id is None or status == name else f"{name} ({status})"
