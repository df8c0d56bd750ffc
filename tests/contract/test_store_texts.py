"""Whatever a text says, it is stored and found as it is."""

import orjson

from bullflow.flow.tree import FlowRequest
from bullflow.store import backlog, streams, views
from bullflow.store.database import Database
from bullflow.store.tables import FlowTag
from bullflow.store.views import FlowFilter
from support.flows import Submitter, node, rows

TEXTS = (
    "it's",
    'a "quote"',
    "back\\slash \\u0041 \\n",
    "%s %(name)s %%",
    ":name ?1 $1 {0}",
    "'; DROP TABLE flows; --",
    "1 OR 1=1",
    "NULL",
    "true",
    "[]",
    " spaces around ",
    "日本語 ünïcödé",
    "e\u0301 is not \u00e9",
    "👩‍👩‍👧 \U0010ffff \ufffd \ufeff",
    "\u202eright to left",
    "x" * 128,
)


async def test_every_text_of_a_flow_is_stored_as_it_is(database: Database) -> None:
    requests = [_request(each) for each in TEXTS]

    new = await Submitter(database).all(*requests)

    async with database.read() as snapshot:
        jobs = [await views.job(snapshot, flow.user_id, flow.jobs[0].id) for flow in new]
        found = [await views.flow(snapshot, flow.user_id, flow.id) for flow in new]
        queues = await streams.positions(snapshot)
    assert [(job.name, job.queue_name) for job in jobs] == [(each, each) for each in TEXTS]
    assert [(orjson.loads(job.data), orjson.loads(job.opts)) for job in jobs] == [
        ({each: [each]}, {"backoff": {"type": each}}) for each in TEXTS
    ]
    assert [(flow.name, flow.queue_name, orjson.loads(flow.tags)) for flow in found] == [
        (each, each, [each[:64]]) for each in TEXTS
    ]
    assert set(queues) == set(TEXTS)
    assert {row["tag"] for row in await rows(database, FlowTag)} == {each[:64] for each in TEXTS}


async def test_every_text_finds_just_its_own_flow(database: Database) -> None:
    new = await Submitter(database).all(*(_request(each) for each in TEXTS))
    user = new[0].user_id

    async with database.read() as snapshot:
        for each, flow in zip(TEXTS, new, strict=True):
            for only in (FlowFilter(name=each), FlowFilter(queue_name=each), FlowFilter(tag=each[:64])):
                assert [view.id for view in await views.flows(snapshot, user, only, None, 50)] == [flow.id]


async def test_names_differ_by_their_case(database: Database) -> None:
    flow = await Submitter(database).one(node("Cut", queue="CPU"))

    async with database.read() as snapshot:
        for only in (FlowFilter(name="cut"), FlowFilter(queue_name="cpu"), FlowFilter(name="C%"), FlowFilter(name="")):
            assert await views.flows(snapshot, flow.user_id, only, None, 50) == []


async def test_data_is_kept_to_the_byte(database: Database) -> None:
    texts = (
        '{"nul":"\\u0000","pair":"\\ud83d\\ude00","lone":"\\ud800"}',
        '{"b":1,"a":2,"b":3}',
        '{"float":1.0,"large":123456789012345678901234567890,"small":1e-400}',
        "  [1 , 2]\n",
        "null",
        '""',
        f'"{"long" * 100_000}"',
    )

    flow = await Submitter(database).one(node("root", *(node(data=each) for each in texts)))

    async with database.read() as snapshot:
        shown = await views.jobs(snapshot, flow.id, after=0, limit=50)
        due = await backlog.jobs_to_dispatch(snapshot, [flow.id])
    assert [job.data for job in shown] == list(texts)
    assert [job.data.text for job in due[1:]] == list(texts)


def _request(each: str) -> FlowRequest:
    root = node(each, queue=each, data=orjson.dumps({each: [each]}).decode(), backoff={"type": each})
    return FlowRequest(root=root, tags=(each[:64],))
