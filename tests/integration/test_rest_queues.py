"""Queues over REST: how they stand, and what an operator sets for them."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import orjson
import pytest
import pytest_asyncio

from bullflow import Job, Worker
from bullflow.engine import consumer
from bullflow.flow.states import JobStatus
from bullflow.store import cursors, queues, streams
from bullflow.store.database import Database
from bullflow.wire import Queue, QueueDetail, QueuePage, QueueSettings
from support.eventually import eventually
from support.queues import connected, kill_engine
from support.servers import Valkey
from support.service import Service, running, settings_for
from support.shapes import exactly, pointers, problem_of

FREE = {"concurrency": None, "rateLimit": None}
NOTHING = {"name": "video", "paused": False, "applied": True, **FREE}


def a_worker(queue: str, begun: list[str] | None = None) -> Worker:
    worker = Worker(queue, concurrency=5)

    @worker.task("work")
    async def work(job: Job) -> str:
        if begun is not None:
            begun.append(job.id)
        return "done"

    return worker


def work(queue: str = "video", *, children: int = 0) -> dict[str, Any]:
    job = {"name": "work", "queueName": queue}
    return {**job, "children": [job] * children}


@pytest_asyncio.fixture
async def service(store_url: str, valkey: Valkey, prefix: str, data_dir: Path) -> AsyncIterator[Service]:
    """A service with a worker on the queue `other` and none on any other queue."""
    settings = settings_for(store_url, valkey.url, prefix, data_dir, max_body_bytes=1_000)
    async with running(settings, [a_worker("other")]) as running_service:
        yield running_service


async def use(service: Service, *names: str) -> None:
    """Make queues known as flows do."""
    database = Database(service.settings.store_url)
    async with database.write() as transaction:
        await streams.know(transaction, names)
    await database.close()


async def queue(service: Service, name: str = "video") -> QueueDetail:
    answer = await service.http.get(f"/queues/{name}")
    assert answer.status_code == 200, answer.text
    return exactly(QueueDetail, answer.json())


async def dispatched(service: Service, jobs: int, name: str = "video") -> None:
    """Wait until the engine has so many jobs that wait in this queue."""

    async def all_wait() -> bool:
        return (await queue(service, name)).counts[JobStatus.WAITING] == jobs

    await eventually(all_wait)


async def post(service: Service, name: str, what: str) -> dict[str, Any]:
    answer = await service.http.post(f"/queues/{name}/{what}")
    assert answer.status_code == 202, answer.text
    shown: dict[str, Any] = answer.json()
    exactly(QueueSettings, shown)
    return shown


async def limit(service: Service, body: Any, name: str = "video") -> dict[str, Any]:
    answer = await service.http.put(f"/queues/{name}/limits", json=body)
    assert answer.status_code == 202, answer.text
    shown: dict[str, Any] = answer.json()
    exactly(QueueSettings, shown)
    return shown


class TestReading:
    async def test_a_queue_is_listed_once_a_flow_has_used_it(self, service: Service) -> None:
        assert (await service.http.get("/queues")).json() == {"items": [], "next": None}
        flow = await service.create(work("video", children=2))
        await service.run(work("other"))
        await dispatched(service, 2)

        page = exactly(QueuePage, (await service.http.get("/queues")).json())

        other, video = page.items
        assert (other.name, other.workers, other.counts[JobStatus.COMPLETED]) == ("other", 1, 1)
        assert (video.name, video.workers) == ("video", 0)
        assert {status.value: count for status, count in video.counts.items() if count} == {
            "waiting": 2,
            "waiting-children": 1,
        }
        assert (video.paused, video.concurrency, video.rate_limit, video.limited_for) == (False, None, None, None)
        assert page.next is None
        assert flow.counts[JobStatus.WAITING] == 2

    async def test_one_queue_is_shown_with_its_workers(self, service: Service) -> None:
        await service.run(work("other"))

        shown = await queue(service, "other")

        assert shown.workers == 1
        (worker,) = shown.worker_list
        assert worker.name
        assert worker.address
        in_list = (await service.http.get("/queues")).json()["items"][0]
        assert Queue.model_validate(in_list).counts == shown.counts

    async def test_the_list_comes_in_pages_that_new_queues_do_not_shift(self, service: Service) -> None:
        await use(service, "b", "d", "f", ":internal")
        first = (await service.http.get("/queues", params={"limit": 2})).json()
        await use(service, "a", "e")

        second = (await service.http.get("/queues", params={"limit": 2, "cursor": first["next"]})).json()

        assert [item["name"] for item in first["items"]] == ["b", "d"]
        assert [item["name"] for item in second["items"]] == ["e", "f"]
        assert second["next"] is None

    async def test_a_cursor_that_is_none_of_this_list_is_refused(self, service: Service) -> None:
        await use(service, "a", "b")
        good = (await service.http.get("/queues", params={"limit": 1})).json()["next"]

        for cursor in ("", "x", good[:-1], cursors.encode("flows", "a"), cursors.encode("queues", "a:b")):
            found = problem_of(await service.http.get("/queues", params={"cursor": cursor}), 422)
            assert pointers(found) == ["?cursor"]
        for wrong in ("0", "501", "x"):
            assert pointers(problem_of(await service.http.get("/queues", params={"limit": wrong}), 422)) == ["?limit"]


class TestPausing:
    async def test_the_jobs_of_a_paused_queue_begin_when_it_is_resumed(
        self, store_url: str, valkey: Valkey, prefix: str, data_dir: Path
    ) -> None:
        begun: list[str] = []
        workers = [a_worker("video", begun), a_worker("other")]
        async with running(settings_for(store_url, valkey.url, prefix, data_dir), workers) as service:
            await service.run(work())
            begun.clear()

            assert await post(service, "video", "pause") == {**NOTHING, "paused": True}

            held = [await service.create(work(children=2)) for _ in range(3)]
            await dispatched(service, 6)
            for _ in range(3):
                await service.run(work("other"))
            assert begun == []
            assert {(await service.client.get(flow.id)).status for flow in held} == {"waiting"}
            assert (await queue(service)).paused

            assert await post(service, "video", "resume") == NOTHING

            for flow in held:
                assert (await service.client.wait(flow.id, timeout=20)).status == "completed"
            assert len(begun) == 9
            assert not (await queue(service)).paused

    async def test_pausing_and_resuming_can_be_repeated(self, service: Service) -> None:
        await use(service, "video")

        for what, paused in (("pause", True), ("pause", True), ("resume", False), ("resume", False)):
            assert (await post(service, "video", what))["paused"] is paused
            assert (await queue(service)).paused is paused

    async def test_requests_at_the_same_moment_end_in_what_is_stored(self, service: Service) -> None:
        await use(service, "video")

        await asyncio.gather(
            *(post(service, "video", "pause" if n % 2 else "resume") for n in range(20)),
            *(limit(service, {"concurrency": n}) for n in range(1, 10)),
        )

        async def settled() -> bool:
            shown = await queue(service)
            database = Database(service.settings.store_url)
            async with database.read() as snapshot:
                (stored,) = await queues.all_set(snapshot)
            await database.close()
            rules = stored.rules
            return (shown.paused, shown.concurrency, stored.due) == (rules.paused, rules.limits.concurrency, False)

        await eventually(settled)


class TestLimits:
    async def test_limits_are_set_as_a_whole(self, service: Service) -> None:
        await use(service, "video")
        rate = {"max": 10, "duration": 1500}

        assert await limit(service, {"concurrency": 2, "rateLimit": rate}) == {
            **NOTHING,
            "concurrency": 2,
            "rateLimit": rate,
        }
        shown = await queue(service)
        assert shown.concurrency == 2
        assert shown.rate_limit is not None
        assert shown.rate_limit.model_dump() == rate

        assert await limit(service, {"rateLimit": rate}) == {**NOTHING, "rateLimit": rate}
        assert await limit(service, {"concurrency": 1, "rateLimit": None}) == {**NOTHING, "concurrency": 1}
        assert (await queue(service)).rate_limit is None
        assert await limit(service, {}) == NOTHING
        assert (await queue(service)).concurrency is None

    async def test_pausing_leaves_the_limits_and_limits_leave_the_pause(self, service: Service) -> None:
        await use(service, "video")
        await limit(service, {"concurrency": 2})

        assert await post(service, "video", "pause") == {**NOTHING, "concurrency": 2, "paused": True}
        assert await limit(service, {"concurrency": 3}) == {**NOTHING, "concurrency": 3, "paused": True}

    async def test_a_rate_limit_holds_and_is_shown_and_can_be_lifted(
        self, service: Service, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        # A worker that was held back looks again after a while, or when the limit lets go.
        monkeypatch.setattr(consumer, "LONGEST_WAIT", timedelta(milliseconds=100))
        await service.run(work("other"))
        await limit(service, {"rateLimit": {"max": 2, "duration": 3_600_000}}, "other")
        flows = [await service.create(work("other")) for _ in range(5)]

        async def two_have_completed() -> QueueDetail | None:
            shown = await queue(service, "other")
            counts = {status.value: count for status, count in shown.counts.items()}
            return shown if (counts["completed"], counts["waiting"]) == (3, 3) else None

        shown = await eventually(two_have_completed)
        assert shown is not None
        assert 0 < (shown.limited_for or 0) <= 3_600_000

        await limit(service, {}, "other")

        for flow in flows:
            assert (await service.client.wait(flow.id, timeout=30)).status == "completed"
        assert (await queue(service, "other")).limited_for is None

    async def test_a_body_that_breaks_rules_is_refused_with_pointers_and_sets_nothing(self, service: Service) -> None:
        await use(service, "video")
        await limit(service, {"concurrency": 2})
        for body, faults in (
            ([], [""]),
            (None, [""]),
            ({"concurrency": 0}, ["/concurrency"]),
            ({"concurrency": 2**53}, ["/concurrency"]),
            ({"concurrency": "3"}, ["/concurrency"]),
            ({"concurrency": 1.5}, ["/concurrency"]),
            ({"concurrency": True}, ["/concurrency"]),
            ({"rateLimit": 5}, ["/rateLimit"]),
            ({"rateLimit": {}}, ["/rateLimit/duration", "/rateLimit/max"]),
            ({"rateLimit": {"max": 0, "duration": -1}}, ["/rateLimit/duration", "/rateLimit/max"]),
            ({"rateLimit": {"max": 1, "duration": 10**12}}, ["/rateLimit/duration"]),
            ({"rateLimit": {"max": 1, "duration": 1, "per": "s"}}, ["/rateLimit/per"]),
            ({"concurrency": 0, "paused": True}, ["/concurrency", "/paused"]),
        ):
            found = problem_of(await service.http.put("/queues/video/limits", content=orjson.dumps(body)), 422)
            assert (body, sorted(pointers(found))) == (body, faults)
            assert faults != [""] or found.errors[0].detail == "must be an object with concurrency and rateLimit"
        assert (await queue(service)).concurrency == 2

    async def test_a_body_that_cannot_be_read_is_refused(self, service: Service) -> None:
        await use(service, "video")
        path = "/queues/video/limits"

        problem_of(await service.http.put(path, content=b"{"), 400)
        problem_of(await service.http.put(path, content=b"{}", headers={"content-type": "text/plain"}), 415)
        problem_of(await service.http.put(path, content=b" " * 1_001), 413)


class TestNames:
    async def test_names_may_hold_anything_that_a_queue_may_be_called(self, service: Service) -> None:
        names = [
            "a/b",
            "a/b/pause",
            "/",
            "pause",
            "a b",
            "%2F",
            "%",
            "ä 🎬",
            "?x=1#y",
            "..",
            ".",
            "a+b&c;d",
            "'\"\\",
            "x" * 128,
        ]
        await use(service, *names)

        for name in names:
            path = quote(name, safe="").replace(".", "%2E")
            assert (await queue(service, path)).name == name
            assert (await post(service, path, "pause"))["name"] == name
            assert (await limit(service, {"concurrency": 1}, path))["paused"] is True
        page = (await service.http.get("/queues")).json()
        assert [(item["name"], item["paused"]) for item in page["items"]] == [(name, True) for name in sorted(names)]

    async def test_a_slash_that_is_not_encoded_parts_the_path(self, service: Service) -> None:
        await use(service, "a/pause", "a")

        assert (await post(service, "a", "pause"))["name"] == "a"
        problem_of(await service.http.post("/queues/a%2Fpause"), 405)
        problem_of(await service.http.get("/queues/a/b"), 404)
        assert not (await queue(service, "a%2Fpause")).paused

    async def test_a_queue_that_no_flow_has_used_is_a_404_on_every_route(self, service: Service) -> None:
        await use(service, ":internal")
        for name in (
            "nobody",
            "a:b",
            "%3Ainternal",
            "%00",
            "a%0Ab",
            "%7Ba%7D",
            "x" * 129,
            "x" * 5_000,
            "%ff%fe",
            "%20",
        ):
            for answer in (
                await service.http.get(f"/queues/{name}"),
                await service.http.post(f"/queues/{name}/pause"),
                await service.http.post(f"/queues/{name}/resume"),
                await service.http.put(f"/queues/{name}/limits", json={}),
            ):
                found = problem_of(answer, 404)
                assert "a queue is known once a flow has used it" in found.detail
                assert len(found.detail) < 200

    async def test_a_method_that_is_not_there_is_a_405(self, service: Service) -> None:
        for method, path in (("POST", "/queues"), ("DELETE", "/queues/a%2Fb"), ("GET", "/queues/a/pause")):
            problem_of(await service.http.request(method, path), 405)


async def test_another_sites_page_cannot_pause_a_queue(service: Service) -> None:
    await use(service, "video")

    answer = await service.http.post("/queues/video/pause", headers={"origin": "http://elsewhere.example"})

    problem_of(answer, 403)
    assert not (await queue(service)).paused


async def test_what_is_set_while_the_engine_is_away_is_accepted_and_holds_when_it_is_back(
    store_url: str, data_dir: Path
) -> None:
    begun: list[str] = []
    async with Valkey(data_dir / "engine") as engine:
        settings = settings_for(store_url, engine.url, "bull", data_dir)
        async with running(settings, [a_worker("other", begun)]) as service:
            await service.run(work("other"))
            await use(service, "video")
            async with connected(engine.url, "bull") as bull:
                await kill_engine(bull)

            for path in ("/queues", "/queues/video"):
                away = await service.http.get(path)
                assert "engine" in problem_of(away, 503).detail
                assert away.headers["retry-after"]
            assert await post(service, "video", "pause") == {**NOTHING, "paused": True, "applied": False}
            assert (await limit(service, {"concurrency": 2}))["applied"] is False

            async with Valkey(data_dir / "engine"):

                async def both_hold() -> bool:
                    answer = await service.http.get("/queues/video")
                    return is_paused(answer) and answer.json()["concurrency"] == 2

                await eventually(both_hold)
                await service.create(work("video"))
                await dispatched(service, 1)
                assert (await post(service, "video", "resume"))["applied"] is True


async def test_a_pause_outlives_an_engine_that_was_wiped(service: Service) -> None:
    await use(service, "video")
    await post(service, "video", "pause")
    async with connected(service.settings.redis_url or "", service.settings.prefix) as bull:
        assert await bull.client.delete(bull.key("meta", "video")) == 1

    async def paused_again() -> bool:
        return (await queue(service)).paused

    await eventually(paused_again)


def is_paused(answer: httpx.Response) -> bool:
    return answer.status_code == 200 and answer.json()["paused"] is True
