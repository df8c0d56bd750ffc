"""BullMQ's scripts that add a job, and what they are given.

The keys and arguments are those that BullMQ's own producers send (`src/classes/scripts.ts` of BullMQ 6,
`bullmq/scripts.py` and `bullmq/job.py` 3.4), without its objects for each job. `test_adding.py` compares
what lies in the engine after both.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from hashlib import sha1
from typing import Any

import msgpack
from bullmq.job import optsEncodeMap
from bullmq.redis_connection import loadScript

from bullflow.engine.keys import queue_key
from bullflow.engine.transaction import Command
from bullflow.flow.plan import StoredJob

_STANDARD = "addStandardJob-9.lua"
_DELAYED = "addDelayedJob-6.lua"
_PRIORITIZED = "addPrioritizedJob-9.lua"
_PARENT = "addParentJob-6.lua"
_KEYS = {
    _STANDARD: ("wait", "paused", "meta", "id", "completed", "delayed", "active", "events", "marker"),
    _DELAYED: ("marker", "meta", "id", "delayed", "completed", "events"),
    _PRIORITIZED: ("marker", "meta", "id", "prioritized", "delayed", "completed", "active", "events", "pc"),
    _PARENT: ("meta", "id", "delayed", "waiting-children", "completed", "events"),
}
# One for all: `packb` makes a new one, with a large buffer, each time.
_pack = msgpack.Packer().pack
# How a child's parent is told of the child's policy.
_POLICIES = {name: optsEncodeMap[name] for name in optsEncodeMap if name.endswith("OnFailure")}


@dataclass(frozen=True, slots=True, kw_only=True)
class Parent:
    """A job as its children know it: `queue` is the queue's name as a key, `bull:flowQueue`."""

    queue: str
    job_id: str
    key: str


def parent_of(prefix: str, queue_name: str, job_id: str) -> Parent:
    """What the children of a job are told."""
    queue = queue_key(prefix, queue_name, "").removesuffix(":")
    return Parent(queue=queue, job_id=job_id, key=queue_key(prefix, queue_name, job_id))


@cache
def add_scripts() -> Mapping[str, str]:
    """The scripts that the commands call, by their SHA-1."""
    return {_sha(source): source for source in map(loadScript, _KEYS)}


def add_job(
    prefix: str, job: StoredJob, opts: Mapping[str, Any], *, is_parent: bool, parent: Parent | None = None
) -> Command:
    """The command that adds a job with these options to its queue; one `is_parent` waits until its children have ended.

    Raises ValueError, TypeError or OverflowError for what cannot be packed.
    """
    base = queue_key(prefix, job.queue_name, "")
    above = (None, None, None) if parent is None else (parent.key, f"{parent.key}:dependencies", _told(parent, opts))
    # The last two are for repeated and for deduplicated jobs, which no flow has.
    args = (base, job.job_id, job.name, opts["timestamp"], *above, None, None)
    options = _pack(_encoded(opts, parent))
    return (*_opening(_script(opts, is_parent), base), _pack(args), job.data.text, options)


def _script(opts: Mapping[str, Any], is_parent: bool) -> str:
    if is_parent:
        return _PARENT
    if opts.get("delay"):
        return _DELAYED
    return _PRIORITIZED if opts.get("priority") else _STANDARD


@lru_cache(maxsize=4_096)
def _opening(script: str, base: str) -> tuple[bytes, ...]:
    """The part of a command that is the same for all jobs of a queue."""
    keys = [f"{base}{part}".encode() for part in _KEYS[script]]
    return (b"EVALSHA", _sha(loadScript(script)).encode(), str(len(keys)).encode(), *keys)


def _sha(source: str) -> str:
    return sha1(source.encode(), usedforsecurity=False).hexdigest()


def _told(parent: Parent, opts: Mapping[str, Any]) -> dict[str, Any]:
    policies = {short: True for name, short in _POLICIES.items() if opts.get(name)}
    return {"id": parent.job_id, "queueKey": parent.queue, **policies}


def _encoded(opts: Mapping[str, Any], parent: Parent | None) -> dict[str, Any]:
    encoded = {optsEncodeMap.get(name, name): value for name, value in opts.items()}
    encoded.setdefault("attempts", 0)
    encoded.setdefault("delay", 0)
    if type(encoded.get("backoff")) is int:
        encoded["backoff"] = {"type": "fixed", "delay": encoded["backoff"]}
    if parent is not None:
        encoded["parent"] = {"id": parent.job_id, "queue": parent.queue}
    return encoded
