"""Growth: a running job adds children to itself, waits for them, and runs again with their values.

What a job adds before it waits belongs to one phase, and a phase may be run more than once: its worker
dies, its attempt fails. So that nothing is added twice, the id of a child follows from what does not
change with that: the parent's run, how many children the parent had when the phase began, and the
child's place among all that the phase adds. A handler that adds the same in the same order finds its
children there; one that adds something else in a child's place finds the old one there.

The children and the list of them in the parent's envelope are written in one MULTI, under the parent's
lock, and before them, in the same MULTI, an entry in a stream of our own that tells of them. The
recorder reads that stream beside those of the queues and writes the jobs into the store; the entry is
older than anything that becomes of them, and telling twice changes nothing. A job that is to fail adds
no more children, and whoever withdraws a job that has grown (the mark in its hash) looks below it too.

Failure: a worker may die between adding and waiting. The job is then found as stalled and run again, in
the same phase, and sees none of the phase's values, whichever of them are there by then. What is not in
the engine any more when a job waits is not waited for: BullMQ counts only what has not ended.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import cached_property
from hashlib import sha256
from itertools import count
from typing import Any
from uuid import UUID

import orjson
from bullmq.redis_connection import loadScript
from redis.asyncio import Redis

from bullflow.clock import now_ms
from bullflow.engine.adding import add_scripts, parent_of
from bullflow.engine.delivery import Delivery
from bullflow.engine.envelope import unseal, with_grown, with_grown_settled
from bullflow.engine.holding import Holding
from bullflow.engine.keys import HAS_GROWN, grown_stream, queue_key
from bullflow.engine.planter import Planter
from bullflow.engine.queue import owned
from bullflow.flow.plan import Branch, StoredJob
from bullflow.flow.states import JobStatus
from bullflow.flow.tree import Node, run_id

VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class GrowthOptions:
    """How long the engine keeps jobs that were added, after they have ended, and how long event streams may grow."""

    keep: timedelta
    stream_length: int


class Growth:
    """Adds children to the jobs of one queue that this worker holds, and lets these wait for them."""

    def __init__(self, client: Redis, prefix: str, queue_name: str, holding: Holding, options: GrowthOptions) -> None:
        self._client = client
        self._prefix = prefix
        self._queue_name = queue_name
        self._holding = holding
        self._planter = Planter(prefix, keep=options.keep, stream_length=options.stream_length)
        self._stream_length = options.stream_length
        self._wait = client.register_script(loadScript("moveToWaitingChildren-7.lua"))

    async def add(self, delivery: Delivery, nodes: Sequence[Node], first: int) -> None:
        """Add these trees below a job; `first` is how many jobs this run has added before.

        The job must be one of a flow. Raises JobCancelled, LockLost, EngineRefused.
        """
        branches = _sprouts(delivery, nodes, first, now_ms())
        new: list[Branch] = []

        async def fill(pipe: Any, opts: dict[str, Any]) -> None:
            nonlocal new
            new = _without(branches, opts)
            if new:
                await self._fill(pipe, delivery, opts, new)

        await self._holding.change(delivery, fill)
        self._planter.planted(new)

    async def _fill(self, pipe: Any, delivery: Delivery, opts: dict[str, Any], new: Sequence[Branch]) -> None:
        there = await self._there(new)
        told = {"growth": _told(delivery, new)}
        pipe.xadd(grown_stream(self._prefix), told, maxlen=self._stream_length, approximate=True)
        grown = with_grown(opts, [(branch.job.name, branch.job.job_id) for branch in new])
        pipe.hset(self._key(delivery.job_id), mapping={"opts": orjson.dumps(grown), HAS_GROWN: "1"})
        # BullMQ would put one that has failed back among those that its parent waits for.
        missing = [branch for branch in new if branch.job.job_id not in there]
        pipe.scripts |= self._adding
        for command in self._planter.plant(missing, parent=parent_of(self._prefix, self._queue_name, delivery.job_id)):
            pipe.execute_command(*command)

    async def _there(self, branches: Sequence[Branch]) -> set[str]:
        async with self._client.pipeline(transaction=False) as pipe:
            for branch in branches:
                pipe.exists(queue_key(self._prefix, branch.job.queue_name, branch.job.job_id))
            answers = await pipe.execute()
        return {branch.job.job_id for branch, is_there in zip(branches, answers, strict=True) if is_there}

    async def settle(self, delivery: Delivery) -> Delivery | None:
        """Let a job that has grown wait for its children; when all have ended, return it to be run again at once.

        Raises LockLost, and UnrecoverableError when a child has failed that its parent cannot do without.
        """
        settled: dict[str, Any] = {}

        async def fill(pipe: Any, opts: dict[str, Any]) -> None:
            nonlocal settled
            settled = with_grown_settled(opts)
            pipe.hset(self._key(delivery.job_id), "opts", orjson.dumps(settled))
            own = self._key(delivery.job_id)
            keys = [self._key("active"), self._key("waiting-children"), own, f"{own}:dependencies"]
            keys += [f"{own}:unsuccessful", self._key("stalled"), self._key("events")]
            args: list[str | int] = [delivery.token, "", now_ms(), delivery.job_id, self._key("")]
            await self._wait(keys, args, client=pipe)

        answers = await self._holding.change(delivery, fill)
        has_all = owned(delivery, answers[-1]) == 1
        return replace(delivery, envelope=unseal(settled)) if has_all else None

    def _key(self, part: str) -> str:
        return queue_key(self._prefix, self._queue_name, part)

    @cached_property
    def _adding(self) -> set[Any]:
        """redis-py loads what is told to its pipeline, if the engine does not know it. Few workers ever need it."""
        return {self._client.register_script(source) for source in add_scripts().values()}


def _without(branches: Sequence[Branch], opts: dict[str, Any]) -> list[Branch]:
    """Those that are not in the parent's list: the list is written together with the jobs."""
    envelope = unseal(opts)
    known = {job_id for _, job_id in (*envelope.in_order, *envelope.grown)}
    return [branch for branch in branches if branch.job.job_id not in known]


def _sprouts(delivery: Delivery, nodes: Sequence[Node], first: int, now: int) -> list[Branch]:
    """The trees with their jobs' ids."""
    places = count(first)
    return [_sprout(delivery, node, str(delivery.envelope.id), places, now) for node in nodes]


def _sprout(delivery: Delivery, node: Node, parent_id: str, places: Iterator[int], now: int) -> Branch:
    place = next(places)
    own_id = child_id(delivery, place)
    job = StoredJob(
        id=own_id,
        job_id=run_id(own_id, 1),
        flow_id=str(delivery.envelope.flow_id),
        parent_id=parent_id,
        name=node.name,
        queue_name=node.queue_name,
        data=node.data,
        opts=node.opts,
        status=JobStatus.WAITING,
        created_at=now,
        position=place,
    )
    below = tuple(_sprout(delivery, child, own_id, places, now) for child in node.children)
    return Branch(job=job, children=below, ended=())


def child_id(delivery: Delivery, place: int) -> str:
    """The id of what a job adds at this place of its phase: a UUID of version 8 with the time of the parent's."""
    parent = UUID(delivery.envelope.id)
    known = sum(len(ids) for ids in delivery.envelope.children.values())
    digest = sha256(f"{delivery.job_id}:{known}:{place}".encode()).digest()
    raw = bytearray(parent.bytes[:6] + digest[:10])
    raw[6] = 0x80 | raw[6] & 0x0F
    raw[8] = 0x80 | raw[8] & 0x3F
    return str(UUID(bytes=bytes(raw)))


def _told(delivery: Delivery, branches: Sequence[Branch]) -> bytes:
    """What the recorder reads, parents before their children."""
    return orjson.dumps(
        {
            "v": VERSION,
            "flow": delivery.envelope.flow_id,
            "parent": delivery.envelope.id,
            "parentJobId": delivery.job_id,
            "jobs": [_told_of(job) for job in _jobs(branches)],
        }
    )


def _told_of(job: StoredJob) -> dict[str, Any]:
    return {
        "id": job.id,
        "parent": job.parent_id,
        "name": job.name,
        "queueName": job.queue_name,
        "data": orjson.Fragment(job.data.text),
        "opts": job.opts,
    }


def _jobs(branches: Iterable[Branch]) -> Iterator[StoredJob]:
    return (job for branch in branches for job in branch.jobs())
