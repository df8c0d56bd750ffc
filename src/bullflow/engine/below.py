"""What all the jobs below a job have left behind: values, failures that were ignored, and names.

BullMQ gives a parent what its own children have left, and nothing of theirs. So the tree is read from
the parent down, one round trip a level: what a job's children have left lies beside the job, by their
keys; what they are called, and in which order they come, stands in their hashes.

Failure: the engine forgets jobs some time after they have ended, and then knows neither a job's name
nor what was below it. Whoever asks for a whole tree gets the whole tree, or `missing` decides.
"""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from bullflow.engine.delivery import Delivery, json_or_text, pairs, read_options
from bullflow.engine.envelope import Envelope, unseal
from bullflow.engine.keys import job_of, queue_key
from bullflow.engine.pipe import Pipe
from bullflow.errors import JobFailure


@dataclass(frozen=True, slots=True, kw_only=True)
class Remains:
    """What was found, by BullMQ ids; `names` has the ids of each name in the order of the tree."""

    names: Mapping[str, tuple[str, ...]]
    values: Mapping[str, Any]
    failures: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """One job of the tree, and what its children have left, by their keys."""

    name: str
    envelope: Envelope
    processed: Mapping[str, str]
    failed: Mapping[str, str]

    def children(self) -> list[str]:
        """The keys of its children in the order in which it lists them."""
        listed = [job_id for _, job_id in (*self.envelope.in_order, *self.envelope.grown)]
        rank = {job_id: place for place, job_id in enumerate(listed)}
        return sorted((*self.processed, *self.failed), key=lambda key: rank.get(job_of(key), len(rank)))


Missing = Callable[[str], Awaitable[Found]]
"""Says what there was of a job that the engine has forgotten, by its key."""


async def refuse(key: str) -> Found:
    """Raises JobFailure."""
    raise JobFailure(f"{job_of(key)}, which is below this job, is no longer in the engine")


class Below:
    """Reads the trees below the jobs of one queue."""

    def __init__(self, pipe: Pipe, prefix: str, queue_name: str, missing: Missing = refuse) -> None:
        self._pipe = pipe
        self._prefix = prefix
        self._queue_name = queue_name
        self._missing = missing

    async def everything(self, delivery: Delivery) -> Remains:
        """What all completed jobs below this one have left; raises EngineAway, EngineRefused, and what `missing` does.

        Children that the job has added and has not waited for yet are left out.
        """
        own_key = queue_key(self._prefix, self._queue_name, delivery.job_id)
        unsettled = {job_id for _, job_id in delivery.envelope.grown}
        tree: dict[str, Found] = {}
        level = [own_key]
        while level:
            found = await asyncio.gather(*(self._look(key) for key in level))
            tree |= dict(zip(level, found, strict=True))
            below = (key for one in found for key in (*one.processed, *one.failed))
            level = [key for key in dict.fromkeys(below) if key not in tree and job_of(key) not in unsettled]
        return _gathered(tree, own_key)

    async def _look(self, key: str) -> Found:
        (name, opts), processed, failed = await asyncio.gather(
            self._pipe.call("HMGET", key, "name", "opts"),
            self._pipe.call("HGETALL", f"{key}:processed"),
            self._pipe.call("HGETALL", f"{key}:failed"),
        )
        if name is None:
            return await self._missing(key)
        return Found(name=name, envelope=unseal(read_options(opts)), processed=pairs(processed), failed=pairs(failed))


def _gathered(tree: Mapping[str, Found], own_key: str) -> Remains:
    names: defaultdict[str, list[str]] = defaultdict(list)
    values: dict[str, Any] = {}
    failures: dict[str, str] = {}
    for parent, key in _in_tree_order(tree, own_key):
        job_id = job_of(key)
        names[tree[key].name].append(job_id)
        if key in parent.processed:
            values[job_id] = json_or_text(parent.processed[key])
        else:
            failures[job_id] = parent.failed[key]
    return Remains(names={name: tuple(ids) for name, ids in names.items()}, values=values, failures=failures)


def _in_tree_order(tree: Mapping[str, Found], own_key: str) -> Iterator[tuple[Found, str]]:
    """The key of each job below, with its parent, parents before their children."""
    path = [(tree[own_key], iter(tree[own_key].children()))]
    while path:
        parent, left = path[-1]
        key = next((key for key in left if key in tree), None)
        if key is None:
            path.pop()
        else:
            yield parent, key
            path.append((tree[key], iter(tree[key].children())))
