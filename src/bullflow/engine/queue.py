"""What a worker may do with one queue: take jobs, keep them, end them. All through BullMQ's scripts.

The arguments are those that BullMQ's own workers send (`src/classes/scripts.ts` of BullMQ 6 and
`bullmq/scripts.py` 3.4), so workers of both kinds can share a queue.
"""

import asyncio
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import isfinite
from typing import Any

import msgpack
import orjson

from bullflow.clock import now_ms
from bullflow.engine.delivery import Delivery, json_or_text, pairs, read_delivery
from bullflow.engine.envelope import Envelope
from bullflow.engine.keys import TELLS_LINES, job_of, queue_key
from bullflow.engine.pipe import Pipe
from bullflow.errors import JobFailure, UnrecoverableError

_MOVE_KEYS = (
    "wait",
    "active",
    "prioritized",
    "events",
    "stalled",
    "limiter",
    "delayed",
    "paused",
    "meta",
    "pc",
)
_KEEP = {"completed": "removeOnComplete", "failed": "removeOnFail"}
_CHILDREN = {
    -4: (JobFailure, "it has children that have not ended"),
    -9: (UnrecoverableError, "a child of it has failed"),
}
_GONE = {-1: "the job is gone", -2: "its lock is gone", -3: "it is not active", -6: "another worker holds its lock"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Next:
    """What taking a job gave: a job, or how long to wait for one."""

    delivery: Delivery | None = None
    limited_for: int = 0
    """Milliseconds until the queue's rate limit lets go."""
    delayed_until: int = 0
    """The instant at which the next delayed job is due."""


# BullMQ's addLog, which tells nobody. The field says that these lines need not be fetched when the job has ended.
_LOG = """
if redis.call("EXISTS", KEYS[1]) == 1 then
  redis.call("RPUSH", KEYS[2], ARGV[2])
  redis.call("LTRIM", KEYS[2], -tonumber(ARGV[3]), -1)
  redis.call("HSET", KEYS[1], ARGV[4], "1")
  local most = redis.call("HGET", KEYS[4], "opts.maxLenEvents") or "10000"
  redis.call("XADD", KEYS[3], "MAXLEN", "~", most, "*", "event", "log", "jobId", ARGV[1], "line", ARGV[2])
end
"""


# As BullMQ's `extendLocks`, but an engine that is out of memory lets a lock live longer and not be written anew.
_EXTEND = """
local lost = {}
local tokens, ids = cmsgpack.unpack(ARGV[2]), cmsgpack.unpack(ARGV[3])
for place, id in ipairs(ids) do
  local lock = ARGV[1] .. id .. ":lock"
  if redis.call("GET", lock) == tokens[place] then
    redis.call("PEXPIRE", lock, ARGV[4])
    redis.call("SREM", KEYS[1], id)
  else
    table.insert(lost, id)
  end
end
return lost
"""


class LockLost(Exception):
    """The job is no longer this worker's; whoever has it now will end it."""


class Queue:
    """One queue, seen by one worker. `worker` is shown as the job's `processedBy`."""

    def __init__(self, pipe: Pipe, prefix: str, name: str, *, worker: str, lock_ms: int) -> None:
        self.name = name
        self._pipe = pipe
        self._prefix = prefix
        self._worker = worker
        self._lock_ms = lock_ms
        self._base = queue_key(prefix, name, "")
        self._move_keys = [self._key(part) for part in _MOVE_KEYS]
        self._marker = self._key("marker")
        self._ended = {target: (self._key(target), self._key(f"metrics:{target}")) for target in _KEEP}
        self._pack = msgpack.Packer().pack

    def _key(self, part: str) -> str:
        return f"{self._base}{part}"

    async def take(self, token: str) -> Next:
        """The next job, locked with `token`."""
        options = {"token": token, "lockDuration": self._lock_ms, "name": self._worker}
        answer = await self._pipe.script(
            "moveToActive", [*self._move_keys, self._marker], [self._base, now_ms(), self._pack(options)]
        )
        return self._next(answer, token)

    async def with_children(self, delivery: Delivery) -> Delivery:
        """The delivery with what its children have left for it."""
        envelope = delivery.envelope
        if not delivery.may_have_children:
            return delivery
        own = self._key(delivery.job_id)
        if not await self._pipe.call("EXISTS", f"{own}:processed", f"{own}:failed"):
            return delivery
        processed, failed = await asyncio.gather(
            self._pipe.call("HGETALL", f"{own}:processed"), self._pipe.call("HGETALL", f"{own}:failed")
        )
        values, failures = pairs(processed), pairs(failed)
        return replace(
            delivery,
            values={job_of(key): json_or_text(text) for key, text in values.items()},
            failures={job_of(key): reason for key, reason in failures.items()},
            names={**envelope.children, **await self._names(envelope, [*values, *failures])},
        )

    async def _names(self, envelope: Envelope, keys: Sequence[str]) -> dict[str, tuple[str, ...]]:
        """Children that others have made, by name, where the engine still knows it; ours stand in the envelope."""
        ours = {job_id for ids in envelope.children.values() for job_id in ids}
        ours |= {job_id for _, job_id in envelope.grown}
        strange = [key for key in keys if job_of(key) not in ours]
        names = await asyncio.gather(*(self._pipe.call("HGET", key, "name") for key in strange))
        found: defaultdict[str, list[str]] = defaultdict(list)
        for key, name in zip(strange, names, strict=True):
            found[name or ""].append(job_of(key))
        return {name: (*envelope.children.get(name, ()), *ids) for name, ids in found.items()}

    async def complete(self, delivery: Delivery, result: str, *, fetch_next: bool) -> Next:
        """End a job with its result as JSON, and take the next one in the same step if asked to."""
        return await self._finish(delivery, "completed", "returnvalue", result, fetch_next)

    async def fail(self, delivery: Delivery, reason: str, stacks: Sequence[str], *, fetch_next: bool) -> Next:
        """End a job for good with the reason of its failure."""
        fields = {"failedReason": reason, "stacktrace": orjson.dumps(stacks).decode()}
        return await self._finish(delivery, "failed", "failedReason", reason, fetch_next, fields)

    async def _finish(
        self,
        delivery: Delivery,
        target: str,
        field: str,
        value: str,
        fetch_next: bool,
        fields: Mapping[str, str] | None = None,
    ) -> Next:
        opts = delivery.opts
        # The next job, if one is fetched, is locked with the same token.
        packed = self._pack(
            {
                "token": delivery.token,
                "keepJobs": _keep(opts.get(_KEEP[target])),
                "lockDuration": self._lock_ms,
                "attempts": delivery.attempts,
                "attemptsMade": delivery.attempts_made,
                "maxMetricsSize": "",
                "fpof": bool(opts.get("failParentOnFailure")),
                "cpof": bool(opts.get("continueParentOnFailure")),
                "idof": bool(opts.get("ignoreDependencyOnFailure")),
                "rdof": bool(opts.get("removeDependencyOnFailure")),
                "name": self._worker,
            }
        )
        ended, metrics = self._ended[target]
        keys = [*self._move_keys, ended, self._key(delivery.job_id), metrics, self._marker]
        args = [delivery.job_id, now_ms(), field, value, target, "1" if fetch_next else "", self._base, packed]
        if fields:
            args.append(msgpack.packb(_flat(fields)))
        answer = owned(delivery, await self._pipe.script("moveToFinished", keys, args))
        return self._next(answer, delivery.token)

    async def retry_now(self, delivery: Delivery, reason: str, stacks: Sequence[str]) -> None:
        """Put a job whose attempt failed back into the queue."""
        keys = [self._key(part) for part in ("active", "wait", "paused", delivery.job_id, "meta", "events")]
        keys += [self._key(part) for part in ("delayed", "prioritized", "pc", "marker", "stalled")]
        push = "RPUSH" if delivery.opts.get("lifo") else "LPUSH"
        fields = msgpack.packb(_flat({"failedReason": reason, "stacktrace": orjson.dumps(stacks).decode()}))
        args = [self._base, now_ms(), push, delivery.job_id, delivery.token, fields]
        owned(delivery, await self._pipe.script("retryJob", keys, args))

    async def retry_later(self, delivery: Delivery, reason: str, stacks: Sequence[str], delay_ms: int) -> None:
        """Put a job whose attempt failed back into the queue after a pause."""
        keys = [self._key(part) for part in ("marker", "active", "prioritized", "delayed", delivery.job_id)]
        keys += [self._key(part) for part in ("events", "meta", "stalled", "wait", "limiter", "pc")]
        fields = msgpack.packb(_flat({"failedReason": reason, "stacktrace": orjson.dumps(stacks).decode()}))
        args = [self._base, str(now_ms()), delivery.job_id, delivery.token, delay_ms, "0", fields, "0"]
        owned(delivery, await self._pipe.script("moveToDelayed", keys, args))

    async def extend_locks(self, held: Mapping[str, str]) -> list[str]:
        """Renew the locks of these jobs (ids with tokens); returns those that were lost."""
        args = [self._base, msgpack.packb(list(held.values())), msgpack.packb(list(held)), self._lock_ms]
        lost = await self._pipe.call("EVAL", _EXTEND, 1, self._key("stalled"), *args)
        return list(lost or ())

    async def withdrawn(self, job_ids: Sequence[str]) -> dict[str, str]:
        """Those of these jobs that are to fail, with the reasons."""
        reasons = await asyncio.gather(*(self._pipe.call("HGET", self._key(job_id), "defa") for job_id in job_ids))
        return {job_id: reason for job_id, reason in zip(job_ids, reasons, strict=True) if reason}

    async def rescue_stalled(self, max_stalled: int, every_ms: int) -> list[str]:
        """Put jobs back whose workers have died; the script itself sees to it that one worker does it."""
        keys = [self._key(part) for part in ("stalled", "wait", "active", "stalled-check", "meta", "paused")]
        keys += [self._key(part) for part in ("marker", "events", "repeat")]
        stalled = await self._pipe.script("moveStalledJobsToWait", keys, [max_stalled, self._base, now_ms(), every_ms])
        return list(stalled or ())

    async def progress(self, job_id: str, value: str) -> None:
        """Report progress, as JSON."""
        keys = [self._key(part) for part in (job_id, "events", "meta")]
        await self._pipe.script("updateProgress", keys, [job_id, value])

    async def log(self, job_id: str, line: str, keep: int) -> None:
        """Add a line to the job's log, of which the last `keep` lines stay, and tell it in the queue's event stream."""
        keys = [self._key(part) for part in (job_id, f"{job_id}:logs", "events", "meta")]
        await self._pipe.call("EVAL", _LOG, len(keys), *keys, job_id, line, keep, TELLS_LINES)

    def _next(self, answer: Any, token: str) -> Next:
        if not isinstance(answer, list | tuple) or len(answer) < 2:
            return Next()
        fields, job_id, limited_for, delayed_until = (*answer, 0, 0)[:4]
        if not fields:
            return Next(limited_for=int(limited_for or 0), delayed_until=int(float(delayed_until or 0)))
        return Next(delivery=read_delivery(self.name, str(job_id), token, pairs(fields)))


def owned(delivery: Delivery, answer: Any) -> Any:
    """The answer, unless BullMQ refused: then LockLost, or JobFailure where the children forbid the end.

    As with BullMQ's own workers, a job may be tried again while its children have not ended.
    """
    if isinstance(answer, int) and answer in _CHILDREN:
        failure, reason = _CHILDREN[answer]
        raise failure(f"Cannot complete job {delivery.job_id}: {reason}")
    if isinstance(answer, int) and answer < 0:
        raise LockLost(f"{delivery.job_id}: {_GONE.get(answer, f'BullMQ refused with {answer}')}")
    return answer


def _keep(option: Any) -> dict[str, Any]:
    """BullMQ's `removeOnComplete` and `removeOnFail` in the form that its script wants; nonsense keeps all."""
    if isinstance(option, dict):
        known = {name: option[name] for name in ("age", "count", "limit") if _is_number(option.get(name))}
        return known or {"count": -1}
    if isinstance(option, bool):
        return {"count": 0 if option else -1}
    return {"count": int(option) if _is_number(option) else -1}


def _is_number(value: Any) -> bool:
    return type(value) is int or (type(value) is float and isfinite(value))


def _flat(fields: Mapping[str, str]) -> list[str]:
    return [part for pair in fields.items() for part in pair]
