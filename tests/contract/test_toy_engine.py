"""The engine in memory, on which random worlds are played, does what BullMQ does: step by step, state by state."""

from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from functools import partial
from random import Random
from typing import Any

import pytest

from bullflow.engine.delivery import Delivery
from bullflow.engine.queue import Queue
from bullflow.engine.remover import Remover
from bullflow.errors import JobFailure
from bullflow.flow import retry
from bullflow.flow.ending import Withdrawn
from bullflow.flow.facts import FactKind, Json
from bullflow.flow.plan import StoredJob, unfinished
from bullflow.flow.record import JobState
from bullflow.flow.states import ENDED, JobStatus, first_status
from bullflow.flow.tree import Policy, run_id
from support.eventually import eventually
from support.queues import JOBS, Bull, hands_on, stored
from support.toy_engine import DELAYED, ToyEngine, ToyJob
from support.worlds import OPTION

STEPS = 70
LONG = 60_000
KINDS = {kind.value for kind in FactKind}


class Both:
    """The real engine and the toy, which do the same, and the flow that they have in common."""

    def __init__(self, bull: Bull, queue: Queue, chance: Random) -> None:
        self.bull = bull
        self.queue = queue
        self.toy = ToyEngine(chance)
        self.remover = Remover(bull.client, bull.prefix, origin="test")
        self.chance = chance
        self.held: dict[str, Delivery] = {}
        self.flow = _a_flow(chance)
        self._takes = 0

    async def dispatch(self) -> None:
        branch = unfinished(self.flow.values())
        assert branch is not None
        assert bool(await self.bull.producer().add([branch])) == self.toy.add(branch)

    async def step(self) -> bool:
        """Whether there was something to do."""
        acts = list(self._acts())
        if acts:
            await self.chance.choice(acts)()
        return bool(acts)

    def _acts(self) -> Iterator[Callable[[], Awaitable[None]]]:
        jobs = self.toy.jobs.values()
        if any(job.status in (JobStatus.WAITING, JobStatus.PRIORITIZED) for job in jobs):
            yield self._take
            yield self._take
        for job in jobs:
            if job.status is DELAYED:
                yield partial(self._promote, job)
            elif job.job_id in self.held:
                yield partial(self._finish, job)
        if jobs and self.chance.random() < 0.1:
            yield self._withdraw
        waiting = [job for job in jobs if not job.locked and job.status not in ENDED]
        if waiting and self.chance.random() < 0.05:
            yield partial(self._remove, self.chance.choice(waiting))
        if self._root_has_failed():
            yield self._run_again

    async def _take(self) -> None:
        self._takes += 1
        delivery = (await self.queue.take(f"token-{self._takes}")).delivery
        assert delivery is not None
        job = self.toy.jobs[delivery.job_id]
        assert (delivery.deferred_failure is not None) == (job.doom is not None)
        self.toy.take(job)
        self.held[job.job_id] = delivery

    async def _promote(self, job: ToyJob) -> None:
        await (await self.bull.queue().getJob(job.job_id)).promote()
        self.toy.promote(job)

    async def _finish(self, job: ToyJob) -> None:
        delivery = self.held.pop(job.job_id)
        luck = self.chance.random()
        if delivery.deferred_failure is not None or luck < 0.3:
            await self.queue.fail(delivery, "broken", [], fetch_next=False)
            self.toy.fail(job, "broken")
        elif luck < 0.7:
            try:
                await self.queue.complete(delivery, "1", fetch_next=False)
            except JobFailure as error:
                await self.queue.fail(delivery, str(error), [], fetch_next=False)
            self.toy.complete(job)
        elif luck < 0.8:
            await self.queue.retry_now(delivery, "again", [])
            self.toy.retry(job, later=False)
        elif luck < 0.9:
            await self.queue.retry_later(delivery, "again", [], LONG)
            self.toy.retry(job, later=True)
        else:
            await self._die(job)

    async def _die(self, job: ToyJob) -> None:
        """Its worker dies, and its lock runs out; then somebody sees it, or somebody removes it before that."""
        await self.bull.client.delete(self.bull.key(f"{job.job_id}:lock"))
        self.toy.stop_renewing(job)
        if self.chance.random() < 0.3:
            await self._remove(job)
            return

        async def seen() -> bool:
            return job.job_id in await self.queue.rescue_stalled(100, 1)

        await eventually(seen)
        self.toy.rescue(job)

    async def _remove(self, job: ToyJob) -> None:
        """By BullMQ's own means."""
        await (await self.bull.queue().getJob(job.job_id)).remove({"removeChildren": False})
        self.toy.remove(job.job_id)

    async def _withdraw(self) -> None:
        """Doom some jobs, and perhaps remove those that wait."""
        jobs = [_withdrawn(job) for job in self.toy.jobs.values() if self.chance.random() < 0.3]
        if not jobs:
            return
        waiting = await self.remover.doom(jobs)
        assert waiting == self.toy.doom(jobs)
        if self.chance.random() < 0.5:
            await self.remover.remove(waiting)
            for job in [one for one in waiting if one.is_parent] + [one for one in waiting[::-1] if not one.is_parent]:
                self.toy.take_out(job.job_id)

    def _root_has_failed(self) -> bool:
        root = self.toy.jobs.get(self.flow["root"].job_id)
        return root is not None and root.status is JobStatus.FAILED

    async def _run_again(self) -> None:
        """A second run, from what the toy says of the first."""
        found = {key: self._state(job) for key, job in self.flow.items()}
        again = {
            job.id for job in retry.of_flow([job for job in found.values() if job.status is not JobStatus.COMPLETED])
        }
        self.flow = {
            key: _anew(job, job.run + 1, JobStatus.WAITING)
            if job.id in again
            else _anew(job, job.run, found[key].status)
            for key, job in self.flow.items()
        }
        await self.dispatch()

    def _state(self, job: StoredJob) -> JobState:
        toy = self.toy.jobs.get(job.job_id)
        return JobState(
            id=job.id,
            job_id=job.job_id,
            flow_id="flow",
            parent_id=job.parent_id,
            depth=0 if job.parent_id is None else 1,
            priority=0,
            policy=job.policy,
            status=JobStatus.CANCELLED if toy is None else toy.status,
        )

    async def compare(self) -> None:
        for job in self.toy.jobs.values():
            real = await self._seen(job.job_id)
            toy: dict[str, Any] = {
                "state": job.status.value,
                "doomed": job.doom is not None,
                "dependencies": job.dependencies,
                "unsuccessful": job.unsuccessful,
            }
            if job.status in ENDED:
                toy["doomed"] = real["doomed"]
            assert real == toy, job.job_id
        told = [(fact.kind.value, fact.job_id) for fact in self.toy.facts]
        events = [(event["event"], event.get("jobId")) for event in await self.bull.events() if event["event"] in KINDS]
        assert events == told

    async def _seen(self, job_id: str) -> dict[str, Any]:
        key = self.bull.key(job_id)
        dependencies = await self.bull.client.smembers(f"{key}:dependencies")
        unsuccessful = await self.bull.client.zrange(f"{key}:unsuccessful", 0, -1)
        return {
            "state": await self.bull.state(job_id),
            "doomed": bool(await self.bull.client.hexists(key, "defa")),
            "dependencies": {name.rpartition(":")[2] for name in dependencies},
            "unsuccessful": {name.rpartition(":")[2] for name in unsuccessful},
        }


@pytest.mark.parametrize("seed", range(10))
async def test_what_bullmq_does_the_toy_does_too(bull: Bull, seed: int) -> None:
    async with hands_on(bull) as queue:
        both = Both(bull, queue, Random(seed))
        await both.dispatch()
        await both.compare()

        steps = 0
        while steps < STEPS and await both.step():
            steps += 1
            await both.compare()

    assert steps


def _a_flow(chance: Random) -> dict[str, StoredJob]:
    """Up to nine jobs by name, the root first."""
    flow: dict[str, StoredJob] = {}
    size = chance.randint(3, 9)
    parents = [None, *(chance.randrange(place) for place in range(1, size))]
    for place, parent in enumerate(parents):
        policy = chance.choice((Policy.FAIL, *Policy))
        opts: dict[str, Any] = {
            "attempts": 3,
            "priority": chance.choice((0, 0, 3)),
            "delay": chance.choice((0, 0, LONG)),
        }
        if place and policy in OPTION:
            opts[OPTION[policy]] = True
        name = f"job-{place}" if place else "root"
        above = list(flow.values())[parent] if parent is not None else None
        flow[name] = stored(
            name,
            parent_id=above.id if above else None,
            opts=opts,
            position=place,
            status=first_status(has_children=place in parents, delay=opts["delay"], priority=opts["priority"]),
        )
    return flow


def _anew(job: StoredJob, run: int, status: JobStatus) -> StoredJob:
    result = Json("1") if status is JobStatus.COMPLETED else None
    return replace(job, job_id=run_id(job.id, run), status=status, result=result)


def _withdrawn(job: ToyJob) -> Withdrawn:
    return Withdrawn(job_id=job.job_id, queue_name=JOBS, is_root=job.parent is None, is_parent=bool(job.dependencies))
