"""Ids and names as clients write them. What cannot be one of ours names nothing, and the store is not asked."""

from typing import Annotated

from fastapi import Path
from pydantic import AfterValidator

from bullflow.errors import NotFound
from bullflow.flow.tree import ID
from bullflow.wire import is_queue_name

SHOWN = 64


def is_possible(text: str) -> bool:
    return ID.fullmatch(text) is not None


def flow_id(text: str) -> str:
    """The text itself; raises NotFound when no flow can have this id."""
    return _possible("flow", text)


def job_id(text: str) -> str:
    """The text itself; raises NotFound when no job can have this id."""
    return _possible("job", text)


def queue_name(text: str) -> str:
    """The text itself; raises NotFound when no queue can have this name."""
    if not is_queue_name(text):
        raise _not_found("queue", text)
    return text


def _possible(kind: str, text: str) -> str:
    if not is_possible(text):
        raise _not_found(kind, text)
    return text


FlowId = Annotated[
    str,
    Path(description="A flow's id.", examples=["019ab3c1-7d7a-7000-8000-000000000000"]),
    AfterValidator(flow_id),
]
JobId = Annotated[str, Path(description="A job's `id` (not its `jobId`)."), AfterValidator(job_id)]


def _not_found(kind: str, text: str) -> NotFound:
    return NotFound(kind, text if len(text) <= SHOWN else f"{text[:SHOWN]}…")
