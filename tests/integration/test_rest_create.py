"""POST /flows: what is accepted, and what the answer shows."""

import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest_asyncio

from bullflow.http.examples import FLOW
from bullflow.wire import CreatedFlow, Flow, Job, JobPage
from support.servers import SqliteServer, Valkey
from support.service import Service, running, settings_for
from support.shapes import exactly

NO_JOBS = dict.fromkeys(
    ("waiting", "waiting-children", "delayed", "prioritized", "active", "completed", "failed", "cancelled"), 0
)


@pytest_asyncio.fixture
async def service(sqlite: SqliteServer, valkey: Valkey, prefix: str, data_dir: Path) -> AsyncIterator[Service]:
    async with running(settings_for(sqlite.new_database(), valkey.url, prefix, data_dir)) as running_service:
        yield running_service


@pytest_asyncio.fixture
async def either(store_url: str, valkey: Valkey, prefix: str, data_dir: Path) -> AsyncIterator[Service]:
    """A service on SQLite, then one on Postgres."""
    async with running(settings_for(store_url, valkey.url, prefix, data_dir)) as running_service:
        yield running_service


def job(name: str, *children: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"name": name, "queueName": "nobody", "children": list(children), **more}


async def all_jobs(service: Service, flow_id: str, cursor: str | None, limit: int) -> list[Job]:
    found: list[Job] = []
    while cursor is not None:
        answer = await service.http.get(f"/flows/{flow_id}/jobs", params={"cursor": cursor, "limit": limit})
        page = exactly(JobPage, answer.json())
        found += page.items
        cursor = page.next
    return found


async def test_a_flow_is_created_and_its_place_is_told(service: Service) -> None:
    answer = await service.http.post("/flows", json=job("root"))

    assert answer.status_code == 201
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["location"] == f"/flows/{answer.json()['id']}"
    again = await service.http.get(answer.headers["location"])
    assert exactly(Flow, again.json()).id == answer.json()["id"]


async def test_the_answer_shows_every_field_of_the_flow(service: Service) -> None:
    body = job("root", job("leaf"), tags=["a", "b", "a"], failFast=True, deadline=3_600_000)
    answer = await service.http.post("/flows", json=body)

    shown = exactly(CreatedFlow, answer.json()).model_dump(mode="json", by_alias=True)
    assert re.fullmatch(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}", shown.pop("id"))
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", shown["createdAt"])
    assert shown.pop("updatedAt") == shown["createdAt"]
    assert shown.pop("deadline")[:13] != shown.pop("createdAt")[:13]
    assert shown.pop("userId")
    assert len(shown.pop("jobs")) == 2
    assert shown == {
        "name": "root",
        "queueName": "nobody",
        "status": "waiting",
        "finishedAt": None,
        "result": None,
        "error": None,
        "counts": {**NO_JOBS, "waiting-children": 1, "waiting": 1},
        "lastSeq": 1,
        "tags": ["a", "b"],
        "failFast": True,
        "jobsNext": None,
    }


async def test_the_jobs_come_in_tree_order_with_their_family(service: Service) -> None:
    body = job("a", job("b", job("c"), job("d")), job("e", job("f")))
    answer = await service.http.post("/flows", json=body)

    flow = exactly(CreatedFlow, answer.json())
    ids = {item.name: item.id for item in flow.jobs}
    assert [item.name for item in flow.jobs] == ["a", "b", "c", "d", "e", "f"]
    assert {item.name: item.parent_id for item in flow.jobs} == {
        "a": None,
        "b": ids["a"],
        "c": ids["b"],
        "d": ids["b"],
        "e": ids["a"],
        "f": ids["e"],
    }
    assert flow.jobs[0].children == [ids["b"], ids["e"]]
    assert flow.jobs[1].children == [ids["c"], ids["d"]]
    assert flow.jobs[2].children == []


async def test_each_job_shows_what_was_asked_and_its_first_state(service: Service) -> None:
    body = job(
        "root",
        job("later", opts={"delay": 3_600_000, "attempts": 3}),
        job("first", opts={"priority": 2, "ignoreDependencyOnFailure": True}),
        job("bare", opts={"failParentOnFailure": False}),
        data={"list": [1, 2.5, "ü", None], "deep": {"x": True}},
        opts={"attempts": 2, "backoff": {"type": "fixed", "delay": 10}},
    )
    answer = await service.http.post("/flows", json=body)

    root, later, first, bare = exactly(CreatedFlow, answer.json()).jobs
    assert root.data == body["data"]
    assert root.opts == body["opts"]
    assert root.job_id == f"{root.id}-1"
    assert (root.flow_id, root.attempts_made, root.result, root.error) == (answer.json()["id"], 0, None, None)
    assert later.data == {}
    assert later.opts == {"delay": 3_600_000, "attempts": 3, "failParentOnFailure": True}
    assert first.opts == {"priority": 2, "ignoreDependencyOnFailure": True}
    assert bare.opts == {"failParentOnFailure": False}
    assert [item.status for item in (root, later, first, bare)] == [
        "waiting-children",
        "delayed",
        "prioritized",
        "waiting",
    ]


async def test_the_answer_is_what_is_read_afterwards(either: Service) -> None:
    created = (await either.http.post("/flows", json=job("root", job("leaf", data=[1]), tags=["x"]))).json()

    read = (await either.http.get(f"/flows/{created['id']}")).json()
    jobs = (await either.http.get(f"/flows/{created['id']}/jobs")).json()
    alone = [(await either.http.get(f"/jobs/{item['id']}")).json() for item in created["jobs"]]
    moving = {"lastSeq": 0, "updatedAt": ""}  # the flow may have been dispatched in the meantime
    assert {**created, **moving} == {**read, **moving, "jobs": jobs["items"], "jobsNext": None}
    assert alone == jobs["items"]


async def test_any_json_may_be_data(either: Service) -> None:
    values: list[Any] = [None, 0, 2**53 + 1, -1.5, "", "\x00\u2028😀", [], {}, [[[]]], False, {"": {"a/b~c": 1}}]
    body = job("root", *(job("leaf", data=value) for value in values))
    created = (await either.http.post("/flows", json=body)).json()

    jobs = (await either.http.get(f"/flows/{created['id']}/jobs")).json()
    assert [item["data"] for item in created["jobs"][1:]] == values
    assert [item["data"] for item in jobs["items"][1:]] == values


async def test_the_documented_example_is_accepted(service: Service) -> None:
    answer = await service.http.post("/flows", json=FLOW)

    assert answer.status_code == 201
    assert [item["name"] for item in answer.json()["jobs"]] == ["watermark-video", "download-video"]


async def test_five_hundred_jobs_are_shown_at_once_and_have_no_more(service: Service) -> None:
    answer = await service.http.post("/flows", json=job("root", *(job(f"n{i}") for i in range(499))))

    assert len(answer.json()["jobs"]) == 500
    assert answer.json()["jobsNext"] is None


async def test_of_a_large_flow_the_cursor_gives_every_further_job_once(either: Service) -> None:
    branches = (job(f"b{i}", *(job(f"b{i}.{k}") for k in range(9))) for i in range(130))
    answer = await either.http.post("/flows", json=job("root", *branches))

    created = exactly(CreatedFlow, answer.json())
    rest = await all_jobs(either, created.id, created.jobs_next, limit=400)
    names = ["root", *(name for i in range(130) for name in (f"b{i}", *(f"b{i}.{k}" for k in range(9))))]
    assert len(created.jobs) == 500
    assert [item.name for item in (*created.jobs, *rest)] == names
    assert len({item.id for item in (*created.jobs, *rest)}) == 1_301
    assert created.counts == {**NO_JOBS, "waiting-children": 131, "waiting": 1_170}


async def test_other_json_types_of_body_are_accepted_too(service: Service) -> None:
    for kind in ("application/json; charset=utf-8", "application/vnd.flow+json", "APPLICATION/JSON"):
        answer = await service.http.post(
            "/flows", content=b'{"name":"a","queueName":"q"}', headers={"content-type": kind}
        )
        assert answer.status_code == 201


async def test_a_flow_with_megabytes_of_data_is_accepted_whole(service: Service) -> None:
    data = "x" * 1_000_000
    answer = await service.http.post("/flows", json=job("root", *(job("leaf", data=data) for _ in range(6))))

    assert answer.status_code == 201
    assert [item["data"] for item in answer.json()["jobs"]] == [{}, *[data] * 6]
