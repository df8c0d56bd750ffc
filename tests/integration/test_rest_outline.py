"""GET /flows/{id}/outline: a flow and all of its jobs in one answer."""

from typing import Any

from bullflow import wire
from bullflow.store.database import Database
from support.eventually import eventually
from support.flows import Submitter, node
from support.service import Service
from support.shapes import exactly, problem_of
from support.stage import Stage, job

LARGE = {"data", "opts", "result", "error", "progress", "children"}


async def outline(service: Service, flow_id: str) -> wire.FlowOutline:
    answer = await service.http.get(f"/flows/{flow_id}/outline")
    assert answer.status_code == 200, answer.text
    return exactly(wire.FlowOutline, answer.json())


async def test_an_outline_shows_the_flow_and_every_job_as_their_own_routes_do(staged: Service) -> None:
    flow = await staged.run(job("sum", "root", job("value", "left"), job("value", "right")))

    shown = await outline(staged, flow.id)

    assert shown.flow == exactly(wire.Flow, (await staged.http.get(f"/flows/{flow.id}")).json())
    listed: list[dict[str, Any]] = (await staged.http.get(f"/flows/{flow.id}/jobs")).json()["items"]
    items = [item.model_dump(by_alias=True, mode="json") for item in shown.items]
    assert all(LARGE.isdisjoint(item) for item in items)
    assert [{**whole, **item} for whole, item in zip(listed, items, strict=True)] == [
        {**whole, "run": 1} for whole in listed
    ]
    assert [(item.name, item.status.value, item.attempts_made) for item in shown.items] == [
        ("sum", "completed", 1),
        ("value", "completed", 1),
        ("value", "completed", 1),
    ]
    assert all(item.worker and item.started_at and item.finished_at for item in shown.items)


async def test_a_retry_is_shown_as_another_run(staged: Service, stage: Stage) -> None:
    stage.broken.add("left")
    flow = await staged.run(job("sum", "root", job("value", "left"), job("value", "right")))
    stage.broken.clear()

    await staged.client.retry(flow.id)
    await staged.client.wait(flow.id, timeout=20)

    assert [item.run for item in (await outline(staged, flow.id)).items] == [2, 2, 1]


async def test_a_flow_that_has_more_jobs_than_any_page_comes_whole(staged: Service) -> None:
    children = [{"name": "value", "queueName": "nobody"}] * 1_200
    created = await staged.create({"name": "sum", "queueName": "nobody", "children": children})

    shown = await outline(staged, created.id)

    assert len(shown.items) == 1_201
    assert {item.parent_id for item in shown.items[1:]} == {shown.items[0].id}
    assert [item.id for item in shown.items[1:501]] == created.jobs[0].children[:500]


async def test_other_users_flows_are_not_there(staged: Service) -> None:
    database = Database(staged.settings.store_url)
    theirs = await Submitter(database).one(node(queue="nobody"), user="them")
    mine = await staged.create({"name": "value", "queueName": "nobody"})

    problem_of(await staged.http.get(f"/flows/{theirs.id}/outline"), 404)
    assert (await outline(staged, mine.id)).flow.id == mine.id

    async def dispatched() -> bool:
        return (await outline(staged, mine.id)).flow.last_seq > 1

    await eventually(dispatched)
    await database.close()
