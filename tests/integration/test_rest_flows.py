"""GET /flows and what lies below one flow: the list, the flow, its jobs, its tree, its log."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest_asyncio

from bullflow import Job, Worker, wire
from support.eventually import eventually
from support.servers import Valkey
from support.service import Service, running, settings_for
from support.shapes import exactly


@pytest_asyncio.fixture
async def service(store_url: str, valkey: Valkey, prefix: str, data_dir: Path) -> AsyncIterator[Service]:
    async with running(settings_for(store_url, valkey.url, prefix, data_dir), [worker()]) as running_service:
        yield running_service


def worker() -> Worker:
    there = Worker("work", concurrency=10)

    @there.task("echo")
    async def echo(job: Job) -> Any:
        await job.progress({"done": 1})
        return job.data

    @there.task("break")
    async def broken(job: Job) -> Any:
        raise RuntimeError("it broke")

    return there


def echo(*children: dict[str, Any], queue: str = "work", **more: Any) -> dict[str, Any]:
    return {"name": "echo", "queueName": queue, "children": list(children), **more}


async def get(service: Service, path: str, **params: Any) -> Any:
    answer = await service.http.get(path, params=params)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def names(service: Service, **params: Any) -> list[str]:
    """The ids on all pages of GET /flows, in their order."""
    found: list[str] = []
    cursor: dict[str, str] = {}
    while True:
        page = exactly(wire.FlowPage, await get(service, "/flows", **params, **cursor))
        found += [flow.id for flow in page.items]
        if page.next is None:
            return found
        cursor = {"cursor": page.next}


async def test_a_completed_flow_shows_its_result_and_counts(service: Service) -> None:
    flow = await service.run(echo(echo(), echo(), data={"x": [1, None]}))

    shown = exactly(wire.Flow, await get(service, f"/flows/{flow.id}"))
    assert (shown.status, shown.result, shown.error) == ("completed", {"x": [1, None]}, None)
    assert {status: count for status, count in shown.counts.items() if count} == {"completed": 3}
    assert shown.created_at <= str(shown.finished_at) <= shown.updated_at


async def test_a_failed_flow_says_why_in_the_flow_and_in_the_job(service: Service) -> None:
    flow = await service.run(echo({"name": "break", "queueName": "work"}, echo()))

    shown = exactly(wire.Flow, await get(service, f"/flows/{flow.id}"))
    root, broken, other = exactly(wire.JobPage, await get(service, f"/flows/{flow.id}/jobs")).items
    assert (shown.status, shown.result) == ("failed", None)
    assert shown.error is not None
    assert shown.error == root.error
    assert (shown.error.child_id, shown.error.message) == (broken.id, 'child "break" failed: it broke')
    assert broken.error is not None
    assert (broken.status, broken.error.message, broken.error.attempt) == ("failed", "it broke", 1)
    assert broken.error.stack is not None
    assert "RuntimeError: it broke" in broken.error.stack
    assert (root.status, other.status) == ("failed", "completed")


async def test_a_finished_job_shows_its_times_attempts_and_progress(service: Service) -> None:
    flow = await service.run(echo(data={"n": 1}))

    listed = exactly(wire.JobPage, await get(service, f"/flows/{flow.id}/jobs")).items[0]
    alone = exactly(wire.Job, await get(service, f"/jobs/{listed.id}"))
    assert alone == listed
    assert (alone.status, alone.result, alone.progress, alone.attempts_made) == ("completed", {"n": 1}, {"done": 1}, 1)
    assert alone.created_at <= str(alone.started_at) <= str(alone.finished_at) <= alone.updated_at


async def test_the_list_has_the_newest_first_and_each_flow_once_while_new_ones_come(service: Service) -> None:
    made = [(await service.create(echo(queue="nobody"))).id for _ in range(5)]
    first = await get(service, "/flows", limit=2)
    await service.create(echo(queue="nobody"))
    second = await get(service, "/flows", limit=2, cursor=first["next"])
    third = await get(service, "/flows", limit=2, cursor=second["next"])

    pages = [*first["items"], *second["items"], *third["items"]]
    assert [flow["id"] for flow in pages] == made[::-1]
    assert third["next"] is None


async def test_the_list_is_filtered_by_name_queue_status_and_tag(service: Service) -> None:
    one = (await service.run(echo(tags=["a", "b"]))).id
    two = (await service.run({"name": "break", "queueName": "work", "tags": ["b"]})).id
    three = (await service.create({"name": "else", "queueName": "nobody"})).id

    assert await names(service, limit=1) == [three, two, one]
    assert await names(service, name="break") == [two]
    assert await names(service, queueName="nobody") == [three]
    assert await names(service, status="failed") == [two]
    assert await names(service, status="waiting") == [three]
    assert await names(service, tag="b", limit=1) == [two, one]
    assert await names(service, tag="b", status="completed", queueName="work", name="echo") == [one]
    assert await names(service, tag="b", queueName="nobody") == []


async def test_the_list_is_filtered_by_the_time_of_creation(service: Service) -> None:
    one, two, three = [await service.create(echo(queue="nobody", data=n)) for n in range(3)]

    assert await names(service, createdAfter=three.created_at) == []
    assert await names(service, createdBefore=one.created_at) == []
    assert set(await names(service, createdAfter="2020-01-01", limit=1)) == {one.id, two.id, three.id}
    assert await names(service, createdAfter="2020-01-01T00:00:00+02:00", createdBefore="2020-01-02") == []
    before_three = await names(service, createdBefore=three.created_at)
    assert before_three == [flow.id for flow in (two, one) if flow.created_at < three.created_at]
    after_one = await names(service, createdAfter=one.created_at)
    assert after_one == [flow.id for flow in (three, two) if flow.created_at > one.created_at]


async def test_jobs_are_paged_in_tree_order_and_filtered_by_status(service: Service) -> None:
    ends = [echo(data=n) if n % 2 else {"name": "break", "queueName": "work", "data": n} for n in range(7)]
    keep = {"opts": {"ignoreDependencyOnFailure": True}}
    flow = await service.run(echo(*({**end, **keep} for end in ends), data="root"))

    whole = exactly(wire.JobPage, await get(service, f"/flows/{flow.id}/jobs")).items
    paged: list[wire.Job] = []
    failed: list[wire.Job] = []
    for found, asked in ((paged, {"limit": 3}), (failed, {"limit": 2, "status": "failed"})):
        cursor: dict[str, str] | None = {}
        while cursor is not None:
            page = exactly(wire.JobPage, await get(service, f"/flows/{flow.id}/jobs", **asked, **cursor))
            assert len(page.items) <= asked["limit"]  # type: ignore[operator]
            found += page.items
            cursor = None if page.next is None else {"cursor": page.next}
    assert [job.data for job in whole] == ["root", *range(7)]
    assert paged == whole
    assert [job.data for job in failed] == [0, 2, 4, 6]


async def test_the_tree_nests_jobs_and_says_what_it_leaves_out(service: Service) -> None:
    created = await service.create(
        echo(*(echo(echo(queue="nobody"), queue="nobody") for _ in range(3)), queue="nobody")
    )
    path = f"/flows/{created.id}/tree"

    whole = exactly(wire.FlowTree, await get(service, path)).root
    assert [len(node.children) for node in (whole, *whole.children)] == [3, 1, 1, 1]
    assert [child.id for child in whole.children] == created.jobs[0].children
    assert whole.more_children == whole.children[0].more_children == 0

    narrow = exactly(wire.FlowTree, await get(service, path, maxChildren=2)).root
    assert [child.id for child in narrow.children] == created.jobs[0].children[:2]
    assert narrow.more_children == 1

    shallow = exactly(wire.FlowTree, await get(service, path, depth=2)).root
    assert [(len(node.children), node.more_children) for node in shallow.children] == [(0, 1)] * 3

    alone = exactly(wire.FlowTree, await get(service, path, depth=1)).root
    bare = exactly(wire.FlowTree, await get(service, path, maxChildren=0)).root
    assert (alone.children, alone.more_children) == (bare.children, bare.more_children) == ([], 3)


async def test_the_log_is_numbered_without_gaps_and_read_from_any_place(service: Service) -> None:
    flow = await service.run(echo(echo(), echo()))
    path = f"/flows/{flow.id}/events"

    whole = exactly(wire.EventPage, await get(service, path, limit=500))
    assert [item.seq for item in whole.items] == list(range(1, flow.last_seq + 1))
    assert (whole.items[0].event, whole.items[-1].event) == ("flow.created", "flow.completed")
    assert {item.flow_id for item in whole.items} == {flow.id}
    assert whole.next is None
    for after in (0, 1, 4, flow.last_seq - 1, flow.last_seq, flow.last_seq + 10):
        rest = exactly(wire.EventPage, await get(service, path, after=after, limit=500))
        assert rest.items == [item for item in whole.items if item.seq > after]


async def test_the_log_is_paged_by_cursor_and_by_after_alike(service: Service) -> None:
    flow = await service.run(echo(echo(), echo()))
    path = f"/flows/{flow.id}/events"

    by_cursor = [exactly(wire.EventPage, await get(service, path, limit=3))]
    while by_cursor[-1].next is not None:
        by_cursor.append(exactly(wire.EventPage, await get(service, path, limit=3, cursor=by_cursor[-1].next)))
    seqs = [item.seq for page in by_cursor for item in page.items]
    assert seqs == list(range(1, flow.last_seq + 1))
    assert [len(page.items) for page in by_cursor[:-1]] == [3] * (len(by_cursor) - 1)
    assert exactly(wire.EventPage, await get(service, path, after=3, limit=3)).items == by_cursor[1].items


async def test_entries_name_their_job_and_carry_what_happened(service: Service) -> None:
    flow = await service.run(echo(data={"value": 7}))
    (job,) = (await get(service, f"/flows/{flow.id}/jobs"))["items"]

    items = (await get(service, f"/flows/{flow.id}/events"))["items"]
    last = next(item for item in items if item["event"] == "job.completed")
    assert (last["id"], last["jobId"]) == (job["id"], job["jobId"])
    assert last["data"]["status"] == "completed"
    assert last["data"]["result"] == {"value": 7}
    assert [(item["id"], item["jobId"]) for item in items if item["event"].startswith("flow.")] == [(None, None)] * 3


async def test_an_accepted_flow_is_in_the_log_before_anything_runs(service: Service) -> None:
    created = await service.create(echo(queue="nobody"))

    async def dispatched() -> bool:
        events = (await get(service, f"/flows/{created.id}/events"))["items"]
        assert events[0]["event"] == "flow.created"
        assert events[0]["data"] == {"status": "waiting", "name": "echo", "jobs": 1}
        return "flow.dispatched" in [item["event"] for item in events]

    await eventually(dispatched)
