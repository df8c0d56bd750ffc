"""One job as BullMQ hands it to a worker, read from the fields of its hash."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson
from bullmq.job import optsDecodeMap

from bullflow.engine.envelope import Envelope, unseal


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """A job that this worker holds the lock of."""

    job_id: str
    token: str
    name: str
    queue_name: str
    data: Any
    opts: Mapping[str, Any]
    envelope: Envelope
    attempts_made: int
    stacks: Sequence[str] = ()
    deferred_failure: str | None = None
    """BullMQ wants this job to fail without being run: a child of it has failed."""
    scheduler: str | None = None
    """The BullMQ job scheduler that has made this job."""
    values: Mapping[str, Any] = field(default_factory=dict)
    """Return values of its children by their BullMQ ids."""
    names: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """The BullMQ ids of its children by name, those of other producers included."""
    failures: Mapping[str, str] = field(default_factory=dict)
    """Why children failed whose failure is to be ignored, by their BullMQ ids."""

    @property
    def may_have_children(self) -> bool:
        """The envelope names the children of our jobs; of other producers' jobs nothing says whether they have any."""
        return bool(self.envelope.children) or self.envelope.id is None

    @property
    def attempts(self) -> int:
        """How many attempts the job has in all, at least 1."""
        return max(1, _integer(self.opts.get("attempts")))


def read_delivery(queue_name: str, job_id: str, token: str, fields: Mapping[str, str]) -> Delivery:
    """The delivery that a job's hash describes.

    Any producer may have written it, and a worker must outlive it: fields that are not JSON are taken
    as text, and numbers that are none as 0.
    """
    opts = read_options(fields.get("opts"))
    return Delivery(
        job_id=job_id,
        token=token,
        name=fields.get("name", ""),
        queue_name=queue_name,
        data=_parsed(fields.get("data"), {}),
        opts=opts,
        envelope=unseal(opts),
        attempts_made=max(0, _integer(fields.get("atm"))),
        stacks=_stacks(_parsed(fields.get("stacktrace"), [])),
        deferred_failure=fields.get("defa") or None,
        scheduler=fields.get("rjk") or None,
    )


def pairs(flat: Any) -> dict[str, str]:
    """Fields and values as Lua returns them: in turns, or a mapping already."""
    return flat if isinstance(flat, dict) else dict(zip(flat[::2], flat[1::2], strict=True))


def read_options(text: str | None) -> Mapping[str, Any]:
    """A job's options under their long names; none where there is something else."""
    opts = _parsed(text, {})
    return {optsDecodeMap.get(key, key): value for key, value in opts.items()} if isinstance(opts, dict) else {}


def _stacks(stacks: Any) -> Sequence[str]:
    return [str(stack) for stack in stacks] if isinstance(stacks, list) else []


def _integer(value: Any) -> int:
    try:
        return int(float(value or 0))
    except (TypeError, ValueError, OverflowError):
        return 0


def json_or_text(text: str) -> Any:
    """The value of a text that should be JSON; the text where it is none."""
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return text


def _parsed(text: str | None, default: Any) -> Any:
    return json_or_text(text) if text else default
