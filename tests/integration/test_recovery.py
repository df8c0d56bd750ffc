"""The engine forgets, wholly or in part: flows go on by themselves, and nothing that was recorded runs again."""

from collections import Counter
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from redis.asyncio import Redis

from bullflow import auditor
from bullflow.engine import stream
from bullflow.flow.recovery import recover
from bullflow.wire import Event
from support.eventually import eventually
from support.servers import Valkey
from support.service import Service, running, settings_for
from support.stage import Stage, job, jobs_by_key, statuses

MARK = b"bullflow:bull:mark"
BULLMQ_SCORES = 0x1000
"""The score of a delayed job is its instant in milliseconds times this, and a little more."""


@pytest_asyncio.fixture
async def own_valkey(data_dir: Path) -> AsyncIterator[Valkey]:
    """A Valkey that a test may wipe."""
    async with Valkey(data_dir / "engine") as server:
        yield server


@pytest_asyncio.fixture
async def engine(own_valkey: Valkey) -> AsyncIterator[Redis]:
    client = Redis.from_url(own_valkey.url, decode_responses=True)
    yield client
    await client.aclose()


@pytest_asyncio.fixture
async def lossy(
    store_url: str, own_valkey: Valkey, engine: Redis, data_dir: Path, stage: Stage
) -> AsyncIterator[Service]:
    """A service of the stage over an engine of its own."""

    async def marked() -> bool:
        return bool(await engine.exists(MARK))

    async with running(settings_for(store_url, own_valkey.url, "bull", data_dir), [stage.worker()]) as service:
        await eventually(marked)
        yield service


async def looked_at_twice(engine: Redis) -> None:
    """Return when the service has left two new marks: with the second one the first is certain to be in the store."""
    marks = {await engine.get(MARK)}

    async def moved_twice() -> bool:
        marks.add(await engine.get(MARK))
        return len(marks) > 2

    await eventually(moved_twice)


async def dispatched(service: Service, flow_id: str, times: int = 1) -> None:
    """Return when the engine has told so often that it has the flow."""

    async def so() -> bool:
        events = [entry.event.value for entry in await service.log_of(flow_id)]
        return events.count("flow.dispatched") >= times

    await eventually(so)


async def becomes(service: Service, flow_id: str, wanted: dict[str, str]) -> None:
    """Return when the record shows these states of jobs."""

    async def so() -> bool:
        found = await statuses(service, flow_id)
        return all(found[key] == status for key, status in wanted.items())

    await eventually(so)


async def recovered(service: Service, flow_id: str) -> Event:
    """The entry of the log that tells of the recovery."""

    async def entry() -> Event | None:
        return next((entry for entry in await service.log_of(flow_id) if entry.event == "flow.recovered"), None)

    return await eventually(entry)


async def assert_log_is_sound(service: Service, flow_id: str) -> None:
    log = await service.log_of(flow_id)
    assert [entry.seq for entry in log] == list(range(1, len(log) + 1))
    ends = Counter(entry.job_id for entry in log if entry.event in ("job.completed", "job.failed", "job.cancelled"))
    assert set(ends.values()) <= {1}


async def test_a_flow_goes_on_after_the_engine_was_wiped_and_what_had_completed_does_not_run_again(
    lossy: Service, engine: Redis, stage: Stage
) -> None:
    flow = await lossy.create(
        job("sum", "root", job("sum", "left", job("value", "done", value=3), job("hold", "held")), job("value", "ok"))
    )
    await becomes(lossy, flow.id, {"done": "completed", "ok": "completed", "held": "active"})

    await engine.flushall()
    told = await recovered(lossy, flow.id)
    stage.release("held")
    ended = await lossy.client.wait(flow.id, timeout=20)

    assert told.data["jobs"] == 3
    assert told.data["reason"] == "the engine has lost 3 jobs of it"
    assert (ended.status, ended.result) == ("completed", 4)
    assert stage.starts == {"done": 1, "ok": 1, "held": 2, "left": 1, "root": 1}
    jobs = await jobs_by_key(lossy, flow.id)
    assert {key: int(found.job_id.rpartition("-")[2]) for key, found in jobs.items()} == {
        "root": 2, "left": 2, "done": 1, "held": 2, "ok": 1,
    }  # fmt: skip
    await assert_log_is_sound(lossy, flow.id)


class Snapshot:
    """What the engine knew at one moment. A server that lost its last writes comes back with it."""

    def __init__(self, keys: dict[Any, tuple[Any, int]]) -> None:
        self._keys = keys

    @classmethod
    async def of(cls, url: str) -> "Snapshot":
        async with Redis.from_url(url) as raw:
            names = await raw.keys("*")
            return cls({name: (await raw.dump(name), max(0, await raw.pttl(name))) for name in names})

    async def put_back(self, url: str) -> None:
        """Put it back, once the service has looked at the engine since: only then can it notice the loss."""
        async with Redis.from_url(url) as raw:
            await looked_at_twice(raw)
            async with raw.pipeline(transaction=True) as pipe:
                pipe.flushall()
                for name, (value, ttl) in self._keys.items():
                    pipe.restore(name, ttl, value)
                await pipe.execute()


async def test_what_has_ended_does_not_run_again_when_the_engine_has_forgotten_its_end(
    lossy: Service, own_valkey: Valkey, engine: Redis, stage: Stage
) -> None:
    flow = await lossy.create(job("sum", "root", job("value", "slow", value=1), job("hold", "first"), job("hold", "b")))
    await becomes(lossy, flow.id, {"slow": "completed", "first": "active", "b": "active"})
    before = await Snapshot.of(own_valkey.url)
    stage.release("first")
    await becomes(lossy, flow.id, {"first": "completed"})

    await before.put_back(own_valkey.url)
    told = await recovered(lossy, flow.id)
    stage.release("b")
    ended = await lossy.client.wait(flow.id, timeout=20)

    assert told.data["reason"] == "the engine has forgotten that 1 job of it had ended"
    assert (ended.status, ended.result) == ("completed", 1)
    assert stage.starts == {"slow": 1, "first": 1, "b": 2, "root": 1}
    await assert_log_is_sound(lossy, flow.id)


async def test_a_flow_that_had_ended_does_not_begin_again_when_the_engine_goes_back_to_before_its_end(
    lossy: Service, own_valkey: Valkey, engine: Redis, stage: Stage
) -> None:
    flow = await lossy.create(job("sum", "root", job("hold", "child")))
    await stage.started("child")
    before = await Snapshot.of(own_valkey.url)
    stage.release("child")
    ended = await lossy.client.wait(flow.id, timeout=10)

    await before.put_back(own_valkey.url)

    async def doomed() -> bool:
        jobs = [await engine.hget(key, "defa") for key in await engine.keys("bull:stage:*-1") if "lock" not in key]
        return all(jobs)

    await eventually(doomed)
    assert stage.starts == {"child": 1, "root": 1}
    assert (await lossy.client.get(flow.id)).last_seq == ended.last_seq


async def test_a_flow_that_lost_one_job_is_recovered_whole_and_what_ran_of_it_is_told_to_stop(
    lossy: Service, engine: Redis, stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(auditor, "QUIET_FOR", timedelta(0))
    monkeypatch.setattr(auditor, "LOOK_EVERY", timedelta(seconds=1))
    flow = await lossy.create(job("sum", "root", job("hold", "runs"), job("value", "lost", delay=600_000)))
    await becomes(lossy, flow.id, {"runs": "active", "lost": "delayed"})
    lost = (await jobs_by_key(lossy, flow.id))["lost"].job_id

    await engine.zrem("bull:stage:delayed", lost)
    await engine.delete(f"bull:stage:{lost}")
    told = await recovered(lossy, flow.id)
    await stage.started("runs", 2)

    assert told.data["reason"] == "the engine has lost 1 job of it"
    assert stage.aborted == {"runs": "cancelled"}
    await becomes(lossy, flow.id, {"runs": "active", "lost": "delayed"})
    assert {found.job_id[-2:] for found in (await jobs_by_key(lossy, flow.id)).values()} == {"-2"}
    stage.release("runs")
    await lossy.client.cancel(flow.id)
    await assert_log_is_sound(lossy, flow.id)


async def test_a_parent_that_waits_for_nothing_is_found_and_its_flow_recovered(
    lossy: Service, engine: Redis, stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(auditor, "QUIET_FOR", timedelta(0))
    monkeypatch.setattr(auditor, "LOOK_EVERY", timedelta(seconds=1))
    flow = await lossy.create(job("sum", "root", job("value", "lost", delay=600_000), job("hold", "kept")))
    await becomes(lossy, flow.id, {"lost": "delayed", "kept": "active"})
    root = flow.jobs[0].job_id
    await engine.delete(f"bull:stage:{root}:dependencies")

    told = await recovered(lossy, flow.id)

    assert told.data["reason"] == "in the engine 1 job of it waited for nothing"
    await lossy.client.cancel(flow.id)


async def test_what_the_streams_did_not_tell_is_settled_from_the_engine_itself(
    lossy: Service, engine: Redis, stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Events that are deleted at once, as if the recorder had been away while the stream was trimmed."""
    monkeypatch.setattr(auditor, "QUIET_FOR", timedelta(0))
    monkeypatch.setattr(auditor, "LOOK_EVERY", timedelta(seconds=1))
    stage.broken.add("bad!")
    await engine.hset("bull:stage:meta", "opts.maxLenEvents", "0")
    flow = await lossy.create(
        job("told", "root", job("value", "good", value=5), job("value", "bad", ignoreDependencyOnFailure=True))
    )

    ended = await lossy.client.wait(flow.id, timeout=20)

    assert ended.result == {"values": [5], "failures": ["bad is beyond repair"]}
    await assert_log_is_sound(lossy, flow.id)


async def test_jobs_of_a_flow_that_had_ended_are_cancelled_when_the_engine_has_lost_them(
    lossy: Service, engine: Redis, stage: Stage
) -> None:
    stage.broken.add("bad!")
    flow = await lossy.create(job("sum", "root", job("value", "bad"), job("value", "later", delay=600_000)))
    await becomes(lossy, flow.id, {"root": "failed", "later": "delayed"})

    await engine.flushall()
    await becomes(lossy, flow.id, {"later": "cancelled"})

    later = (await jobs_by_key(lossy, flow.id))["later"]
    assert later.error is not None
    assert later.error.message == "the engine has lost it, and nothing waits for it any more"
    assert (await lossy.client.get(flow.id)).status == "failed"


async def test_a_lost_job_of_a_flow_that_had_ended_is_found_though_nothing_else_was_lost(
    lossy: Service, engine: Redis, stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(auditor, "QUIET_FOR", timedelta(0))
    monkeypatch.setattr(auditor, "LOOK_EVERY", timedelta(seconds=1))
    stage.broken.add("bad!")
    flow = await lossy.create(job("sum", "root", job("value", "bad"), job("value", "later", delay=600_000)))
    await becomes(lossy, flow.id, {"root": "failed", "later": "delayed"})
    lost = (await jobs_by_key(lossy, flow.id))["later"].job_id

    await engine.zrem("bull:stage:delayed", lost)
    await engine.delete(f"bull:stage:{lost}")

    await becomes(lossy, flow.id, {"later": "cancelled"})


async def test_a_paused_queue_is_paused_before_its_lost_jobs_come_back(
    lossy: Service, engine: Redis, stage: Stage
) -> None:
    first = await lossy.run(job("value", "first"))
    await lossy.client.pause_queue("stage")
    flow = await lossy.create(job("value", "only"))
    await dispatched(lossy, flow.id)

    await engine.flushall()
    await recovered(lossy, flow.id)

    await dispatched(lossy, flow.id, 2)

    assert first.status == "completed"
    assert stage.starts == {"first": 1}
    await lossy.client.resume_queue("stage")
    assert (await lossy.client.wait(flow.id, timeout=10)).status == "completed"


async def test_a_flow_can_be_lost_twice_and_after_a_retry(lossy: Service, engine: Redis, stage: Stage) -> None:
    stage.broken.add("bad!")
    flow = await lossy.create(job("sum", "root", job("value", "bad", value=2), job("hold", "held")))
    await becomes(lossy, flow.id, {"root": "failed", "held": "active"})
    stage.broken.clear()
    stage.release("held")
    await becomes(lossy, flow.id, {"held": "completed"})
    await lossy.client.pause_queue("stage")
    await lossy.client.retry(flow.id)

    for time in (2, 3):
        await dispatched(lossy, flow.id, time)
        await engine.flushall()
    await dispatched(lossy, flow.id, 4)
    await lossy.client.resume_queue("stage")
    ended = await lossy.client.wait(flow.id, timeout=20)

    assert (ended.status, ended.result) == ("completed", 2)
    assert stage.starts == {"bad": 2, "held": 1, "root": 1}
    await assert_log_is_sound(lossy, flow.id)


async def test_a_delay_goes_on_where_it_was(lossy: Service, engine: Redis, stage: Stage) -> None:
    async def due() -> float:
        """When the engine lets it go, in seconds."""
        (later,) = map(str, await engine.zrange("bull:stage:delayed", 0, -1))
        score = await engine.zscore("bull:stage:delayed", later)
        assert score is not None
        return int(score) // BULLMQ_SCORES / 1000

    flow = await lossy.create(job("value", "later", delay=600_000))
    await dispatched(lossy, flow.id)
    before = await due()
    await looked_at_twice(engine)

    await engine.flushall()
    await recovered(lossy, flow.id)
    await dispatched(lossy, flow.id, times=2)

    # One that began anew would be due later by what has passed since, which is a second at least.
    assert await due() == pytest.approx(before, abs=0.7)
    await lossy.client.cancel(flow.id)


async def test_what_is_open_below_a_parent_that_had_ended_is_cancelled_when_it_is_lost(
    lossy: Service, engine: Redis, stage: Stage
) -> None:
    stage.broken.add("bad!")
    failing = job("sum", "failing", job("value", "bad"), job("hold", "beside"), removeDependencyOnFailure=True)
    flow = await lossy.create(job("sum", "root", failing, job("hold", "held")))
    await becomes(lossy, flow.id, {"failing": "failed", "beside": "active", "held": "active"})

    await engine.flushall()
    await recovered(lossy, flow.id)
    stage.release("held")
    ended = await lossy.client.wait(flow.id, timeout=20)

    assert ended.status == "completed"
    assert (await statuses(lossy, flow.id))["beside"] == "cancelled"
    await assert_log_is_sound(lossy, flow.id)


async def test_a_flow_that_cannot_be_mended_does_not_hold_up_the_others(
    lossy: Service, engine: Redis, stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    flows = [await lossy.create(job("hold", name)) for name in ("ill", "well")]
    for flow, name in zip(flows, ("ill", "well"), strict=True):
        await becomes(lossy, flow.id, {name: "active"})

    def wrong(flow: Any, *rest: Any, **options: Any) -> Any:
        if flow.id == flows[0].id:
            raise AssertionError("cannot be decided")
        return recover(flow, *rest, **options)

    monkeypatch.setattr(auditor, "recover", wrong)
    monkeypatch.setattr(auditor, "QUIET_FOR", timedelta(0))
    await engine.flushall()
    await recovered(lossy, flows[1].id)
    monkeypatch.setattr(auditor, "recover", recover)

    await recovered(lossy, flows[0].id)
    stage.release("ill")
    stage.release("well")
    assert [(await lossy.client.wait(flow.id, timeout=20)).status for flow in flows] == ["completed", "completed"]


async def test_results_that_no_stream_has_told_are_recorded_as_the_engine_has_them(
    lossy: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ends are not heard of, as if they had been trimmed: BullMQ leaves the newest ones, however short a stream is."""
    monkeypatch.setattr(auditor, "QUIET_FOR", timedelta(0))
    monkeypatch.setattr(auditor, "LOOK_EVERY", timedelta(seconds=1))
    monkeypatch.delitem(stream._KINDS, "completed")

    flow = await lossy.create(job("value", "root", job("value", "leaf", value=5), value={"path": "a.mp4"}))
    ended = await lossy.client.wait(flow.id, timeout=20)

    assert ended.result == {"path": "a.mp4"}
    assert (await jobs_by_key(lossy, flow.id))["leaf"].result == 5
    await assert_log_is_sound(lossy, flow.id)


async def test_a_wipe_is_known_by_the_missing_mark_though_the_streams_seem_to_go_on(
    lossy: Service, engine: Redis, stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Others have used the queue since, so its stream is newer than what was read of it."""
    monkeypatch.setattr(auditor, "QUIET_FOR", timedelta(hours=1))
    flow = await lossy.create(job("sum", "root", job("hold", "held", value=5)))
    await dispatched(lossy, flow.id)
    await becomes(lossy, flow.id, {"held": "active"})

    async with engine.pipeline(transaction=True) as pipe:
        pipe.flushall()
        pipe.xadd("bull:stage:events", {"event": "nothing"})
        await pipe.execute()

    await recovered(lossy, flow.id)
    stage.release("held")
    assert (await lossy.client.wait(flow.id, timeout=20)).status == "completed"
