"""How queues stand in the engine, and how they are to be worked on there.

BullMQ keeps a queue's rules in its `meta` hash and its scripts go by them, so they hold for workers of
every kind. Pausing goes through BullMQ's own script, which also wakes and stops waiting workers.
"""

from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Any

from bullmq.redis_connection import SCRIPT_DEFINITIONS, loadScript
from redis.asyncio import Redis

from bullflow.engine.connection import away
from bullflow.engine.keys import node_client_name, python_client_name, queue_key
from bullflow.flow.queues import QueueFacts, QueueLimits, QueueRules, RateLimit, WorkerFacts
from bullflow.flow.states import JobStatus

_PAUSE = loadScript(SCRIPT_DEFINITIONS["pause"])
_LISTS = ("wait", "paused", "active")
_SETS = {
    JobStatus.PRIORITIZED: "prioritized",
    JobStatus.DELAYED: "delayed",
    JobStatus.WAITING_CHILDREN: "waiting-children",
    JobStatus.COMPLETED: "completed",
    JobStatus.FAILED: "failed",
}
_RULES = ("paused", "concurrency", "max", "duration")
_ANSWERS = len(_LISTS) + len(_SETS) + 3
_STOPPED_BY_HAND = 2**53 - 1
"""What BullMQ writes for the number of jobs begun when a worker calls for a pause itself: more than any limit."""


async def queue_facts(client: Redis, prefix: str, names: Sequence[str]) -> dict[str, QueueFacts]:
    """How these queues stand, asked for in one round trip; raises EngineAway."""
    if not names:
        return {}
    async with away(), client.pipeline(transaction=False) as pipe:
        for name in names:
            _ask(pipe, prefix, name)
        pipe.client_list(_type="normal")
        *answers, clients = await pipe.execute()
    workers = _workers(prefix, names, clients)
    each = iter(answers)
    return {name: _facts(list(islice(each, _ANSWERS)), workers[name]) for name in names}


async def queue_rules(client: Redis, prefix: str, names: Sequence[str]) -> dict[str, QueueRules]:
    """The rules that the engine goes by for these queues; raises EngineAway."""
    async with away(), client.pipeline(transaction=False) as pipe:
        for name in names:
            pipe.hmget(queue_key(prefix, name, "meta"), *_RULES)
        answers = await pipe.execute()
    return {name: _rules(answer) for name, answer in zip(names, answers, strict=True)}


async def apply_rules(client: Redis, prefix: str, name: str, rules: QueueRules) -> None:
    """Have the engine go by these rules for a queue from now on; raises EngineAway."""
    before = (await queue_rules(client, prefix, [name]))[name]
    left = 1
    while left:
        async with away(), client.pipeline(transaction=True) as pipe:
            if before.limits.rate != rules.limits.rate:
                # What has begun under the old limit would hold the new one back, for as long as the old one lasts.
                pipe.delete(queue_key(prefix, name, "limiter"))
            _write_limits(pipe, queue_key(prefix, name, "meta"), rules.limits)
            _pause_or_resume(pipe, prefix, name, rules.paused, tell=before.paused != rules.paused)
            # Old versions of BullMQ moved the jobs of a paused queue; the script moves back so many at a time.
            *_, left = await pipe.execute()
        before = rules


def _ask(pipe: Any, prefix: str, name: str) -> None:
    for part in _LISTS:
        pipe.llen(queue_key(prefix, name, part))
    for part in _SETS.values():
        pipe.zcard(queue_key(prefix, name, part))
    pipe.hmget(queue_key(prefix, name, "meta"), *_RULES)
    pipe.get(queue_key(prefix, name, "limiter"))
    pipe.pttl(queue_key(prefix, name, "limiter"))


def _facts(answers: Sequence[Any], workers: tuple[WorkerFacts, ...]) -> QueueFacts:
    waiting, paused, active, *sets, meta, begun, left = answers
    counts = {JobStatus.WAITING: waiting + paused, JobStatus.ACTIVE: active, **dict(zip(_SETS, sets, strict=True))}
    most = _number(meta[_RULES.index("max")])
    is_reached = (_number(begun) or 0) >= (_STOPPED_BY_HAND if most is None else most)
    return QueueFacts(
        counts=counts, rules=_rules(meta), limited_for=left if is_reached and left > 0 else None, workers=workers
    )


def _rules(meta: Sequence[str | None]) -> QueueRules:
    paused, concurrency, most, duration = meta
    max_, duration_ = _number(most), _number(duration)
    rate = None if max_ is None or duration_ is None else RateLimit(max=max_, duration=duration_)
    return QueueRules(paused=paused is not None, limits=QueueLimits(concurrency=_number(concurrency), rate=rate))


def _number(text: str | None) -> int | None:
    """A number that anybody may have written; nonsense counts as nothing."""
    return int(text) if text is not None and text.isascii() and text.isdigit() else None


def _workers(
    prefix: str, names: Sequence[str], clients: Sequence[Mapping[str, str]]
) -> dict[str, tuple[WorkerFacts, ...]]:
    python = {python_client_name(prefix, name): name for name in names}
    node = {node_client_name(prefix, name): name for name in names}
    found: dict[str, list[WorkerFacts]] = {name: [] for name in names}
    busy: list[tuple[str, WorkerFacts]] = []
    for client in clients:
        queue, kind, own_name = _parted(client.get("name", ""))
        if queue in node and kind == "c":
            busy.append((node[queue], _worker(client, own_name)))
        elif queue in node and kind in ("", "w"):
            found[node[queue]].append(_worker(client, own_name))
        elif queue in python and kind in ("", "w") and _only_waits(client):
            found[python[queue]].append(_worker(client, own_name))
    for name, worker in busy:
        if all(worker.name != other.name for other in found[name]):
            found[name].append(worker)
    return {name: tuple(workers) for name, workers in found.items()}


def _parted(client_name: str) -> tuple[str, str, str]:
    """The queue that a connection's name speaks of, what the connection is for, and its worker's own name."""
    prefix, queue, kind, own_name = (*client_name.split(":", 3), "", "", "")[:4]
    return f"{prefix}:{queue}", kind, own_name


def _only_waits(client: Mapping[str, str]) -> bool:
    """BullMQ for Python gives both of a worker's connections the same name; one of them takes and ends the jobs."""
    return client.get("cmd", "").startswith(("bzpopmin", "client", "hello"))


def _worker(client: Mapping[str, str], own_name: str) -> WorkerFacts:
    return WorkerFacts(
        name=own_name or None,
        address=client.get("addr", ""),
        age=_number(client.get("age")) or 0,
        idle=_number(client.get("idle")) or 0,
    )


def _write_limits(pipe: Any, meta: str, limits: QueueLimits) -> None:
    rate = limits.rate
    fields = {
        "concurrency": limits.concurrency,
        "max": None if rate is None else rate.max,
        "duration": None if rate is None else rate.duration,
    }
    for field, value in fields.items():
        if value is None:
            pipe.hdel(meta, field)
        else:
            pipe.hset(meta, field, value)


def _pause_or_resume(pipe: Any, prefix: str, name: str, paused: bool, *, tell: bool) -> None:
    """BullMQ's script; resuming also wakes a worker, which then goes by the new limits. `tell` writes an event."""
    lists = ("wait", "paused") if paused else ("paused", "wait")
    keys = [queue_key(prefix, name, part) for part in (*lists, "meta", "prioritized", "events", "delayed", "marker")]
    pipe.eval(_PAUSE, len(keys), *keys, "paused" if paused else "resumed", "1" if tell else "0")
