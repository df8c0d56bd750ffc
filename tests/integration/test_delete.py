"""Deleting flows, and creating many at once."""

import pytest

from bullflow.errors import ApiError, NotFound
from bullflow.store.database import Database
from bullflow.store.tables import Base, Flow, FlowJob, FlowTag, IdempotencyKey, LogEntry
from support.flows import how_many
from support.service import Service
from support.stage import Stage, job

TABLES: list[type[Base]] = [Flow, FlowJob, FlowTag, IdempotencyKey, LogEntry]


async def test_a_deleted_flow_leaves_nothing_and_others_are_left_alone(staged: Service, database: Database) -> None:
    kept = await staged.run({**job("sum", "root", job("value", "leaf")), "tags": ["mine"]})
    before = [await how_many(database, table) for table in TABLES]
    flow = await staged.client.create(
        {**job("sum", "root", job("value", "leaf")), "tags": ["mine"]}, idempotency_key="once"
    )
    await staged.client.wait(flow.id, timeout=10)

    await staged.client.delete(flow.id)

    assert [await how_many(database, table) for table in TABLES] == before
    with pytest.raises(NotFound):
        await staged.client.get(flow.id)
    with pytest.raises(NotFound):
        await staged.client.delete(flow.id)
    assert (await staged.client.get(kept.id)).status == "completed"


async def test_a_flow_that_runs_is_not_deleted(staged: Service, stage: Stage) -> None:
    stage.broken.add("bad")
    running = await staged.create(job("hold", "long"))
    failed = await staged.create(job("sum", "root", job("value", "bad"), job("hold", "sibling")))
    await staged.client.wait(failed.id, timeout=10)
    await stage.started("sibling")
    await stage.started("long")

    for flow_id, reason in ((running.id, "can be deleted when it has ended"), (failed.id, "1 of its jobs go on")):
        with pytest.raises(ApiError, match=reason) as refused:
            await staged.client.delete(flow_id)
        assert refused.value.status == 409

    await staged.client.cancel(failed.id)
    await staged.client.delete(failed.id)
    await staged.client.cancel(running.id)
    await staged.client.delete(running.id)


async def test_many_flows_are_created_at_once(staged: Service) -> None:
    flows = await staged.client.create_many([job("sum", "root", job("value", f"n{n}", value=n)) for n in range(5)])

    results = [(await staged.client.wait(flow.id, timeout=10)).result for flow in flows]

    assert results == [0, 1, 2, 3, 4]
    assert [len(flow.jobs) for flow in flows] == [2] * 5


async def test_of_many_flows_one_that_is_wrong_keeps_all_out_and_every_fault_is_named(
    staged: Service, database: Database
) -> None:
    wrong = {"name": "", "queueName": "stage", "children": [{"name": "a", "queueName": "b:c"}]}

    answer = await staged.http.post("/flows/bulk", json={"flows": [job("value", "ok"), wrong, {}], "more": 1})

    assert answer.status_code == 422
    pointers = {fault["pointer"] for fault in answer.json()["errors"]}
    of_the_last = {"/flows/2/name", "/flows/2/queueName"}
    assert pointers == {"/more", "/flows/1/name", "/flows/1/children/0/queueName", *of_the_last}
    assert await how_many(database, Flow) == 0


@pytest.mark.parametrize(
    ("body", "pointer"),
    [({}, "/flows"), ({"flows": []}, "/flows"), ({"flows": {}}, "/flows"), ([], "/flows")],
    ids=["nothing", "no flow", "no list", "no object"],
)
async def test_a_bulk_request_without_flows_is_refused(staged: Service, body: object, pointer: str) -> None:
    answer = await staged.http.post("/flows/bulk", json=body)

    assert answer.status_code == 422
    assert [fault["pointer"] for fault in answer.json()["errors"]] == [pointer]


async def test_too_many_flows_and_a_key_are_refused(staged: Service) -> None:
    many = await staged.http.post("/flows/bulk", json={"flows": [job("value", "x")] * 1_001})
    keyed = await staged.http.post("/flows/bulk", json={"flows": [job("value", "x")]}, headers={"Idempotency-Key": "k"})

    assert (many.status_code, many.json()["errors"][0]["pointer"]) == (422, "/flows")
    assert (keyed.status_code, keyed.json()["errors"][0]["pointer"]) == (422, "Idempotency-Key")


async def test_a_dry_run_of_many_says_what_they_would_be(staged: Service, database: Database) -> None:
    answer = await staged.http.post(
        "/flows/bulk?dryRun=true", json={"flows": [job("sum", "root", job("value", "leaf")), job("value", "x")]}
    )

    assert answer.status_code == 200
    assert [flow["jobs"] for flow in answer.json()["flows"]] == [2, 1]
    assert await how_many(database, Flow) == 0
