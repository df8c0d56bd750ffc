"""What the engine has forgotten and the store remembers: a worker asks for it through the engine.

A worker knows the engine and nothing else, and the engine forgets jobs an hour after they have ended. So
it leaves a question in a list, with a key under which it looks for the answer; whoever leads takes
questions from there, asks the store and leaves the answer for a minute. A question that nobody takes,
or an answer that nobody fetches, goes away by itself: the handler's attempt fails and may ask again.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import uuid4

import orjson
from redis.asyncio import Redis

from bullflow.clock import milliseconds
from bullflow.engine.below import Found
from bullflow.engine.connection import asked, away
from bullflow.engine.envelope import Envelope
from bullflow.engine.keys import answer_key, asks_list, job_of, queue_key
from bullflow.engine.pipe import Pipe
from bullflow.errors import JobFailure
from bullflow.flow.remains import Left

ANSWERED_WITHIN = timedelta(seconds=15)
KEPT_FOR = timedelta(minutes=1)
MOST_WAITING = 10_000
_LOOK_EVERY = timedelta(milliseconds=50)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """A question about the children of one run of a job."""

    job_id: str
    reply: str


class Asking:
    """The worker's side."""

    def __init__(self, pipe: Pipe, prefix: str, *, within: timedelta = ANSWERED_WITHIN) -> None:
        self._pipe = pipe
        self._prefix = prefix
        self._within = within

    async def found(self, key: str) -> Found:
        """What the store knows of the job with this key; raises JobFailure when it says nothing in time."""
        reply = answer_key(self._prefix, uuid4().hex)
        await asyncio.gather(
            self._pipe.call("RPUSH", asks_list(self._prefix), orjson.dumps({"jobId": job_of(key), "reply": reply})),
            self._pipe.call("LTRIM", asks_list(self._prefix), -MOST_WAITING, -1),
            self._pipe.call("PEXPIRE", asks_list(self._prefix), milliseconds(KEPT_FOR)),
        )
        try:
            async with asyncio.timeout(self._within.total_seconds()):
                while (text := await self._pipe.call("GET", reply)) is None:  # noqa: ASYNC110 - a key announces nothing
                    await asyncio.sleep(_LOOK_EVERY.total_seconds())
        except TimeoutError:
            raise JobFailure(
                f"{job_of(key)}, below this job, is no longer in the engine, and no recorder has answered for it"
            ) from None
        return self._read(key, text)

    def _read(self, key: str, text: str) -> Found:
        told = orjson.loads(text)
        if told is None:
            raise JobFailure(f"{job_of(key)}, which is below this job, is known to nobody any more")
        children = [(child, queue_key(self._prefix, child["queue"], child["jobId"])) for child in told["children"]]
        return Found(
            name=told["name"],
            envelope=Envelope(grown=tuple((child["name"], child["jobId"]) for child, _ in children)),
            processed={at: child["value"] for child, at in children if child["value"] is not None},
            failed={at: child["failure"] for child, at in children if child["failure"] is not None},
        )


class Asks:
    """The leader's side. `client` is its own, for it blocks."""

    def __init__(self, client: Redis, prefix: str) -> None:
        self._client = client
        self._list = asks_list(prefix)

    async def next(self, block: timedelta) -> Ask | None:
        """The next question, if one comes within that time; what cannot be read is dropped. Raises EngineAway."""
        async with away():
            taken: Any = await asked(self._client.blpop([self._list], timeout=block.total_seconds()))
        try:
            told = orjson.loads(taken[1]) if taken else {}
            return Ask(job_id=str(told["jobId"]), reply=str(told["reply"]))
        except (orjson.JSONDecodeError, KeyError, TypeError):
            return None

    async def answer(self, ask: Ask, name: str | None, children: Sequence[Left]) -> None:
        """Leave the answer; without a name the job is unknown."""
        told = None if name is None else {"name": name, "children": [_told(child) for child in children]}
        async with away():
            await self._client.set(ask.reply, orjson.dumps(told), px=milliseconds(KEPT_FOR))


def _told(child: Left) -> dict[str, str | None]:
    value = None if child.value is None else child.value.text
    return {
        "name": child.name,
        "queue": child.queue_name,
        "jobId": child.job_id,
        "value": value,
        "failure": child.failure,
    }
