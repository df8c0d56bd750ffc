"""What users read of flows: their own, newest first, by filters and in pages."""

import pytest

from bullflow.errors import NotFound
from bullflow.flow.facts import FactKind, Json
from bullflow.flow.tree import FlowRequest
from bullflow.store import views
from bullflow.store.database import Database
from bullflow.store.views import FlowFilter
from support.flows import START, HandClock, Submitter, a_submit, node, record
from support.ledger import a_fact

HOUR = 3_600_000


class Archive:
    """Six flows an hour apart; each test reads them by number, 0 is the oldest."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.clock = HandClock()
        self.submitter = Submitter(database, self.clock)
        self.numbers: dict[str, int] = {}
        self.user_id = ""

    async def add(self, name: str, queue: str, *tags: str, status: str = "waiting") -> str:
        self.clock.now = START + len(self.numbers) * HOUR
        root = node(name, node("inner", queue="hidden"), queue=queue)
        flow = await self.submitter.one(FlowRequest(root=root, tags=tags))
        self.numbers[flow.id] = len(self.numbers)
        self.user_id = flow.user_id
        job_id = flow.jobs[0].job_id
        life = [a_fact(FactKind.ACTIVE, START + 1, job_id), a_fact(FactKind.COMPLETED, START + 2, job_id)]
        await record(self.database, life[: ("waiting", "active", "completed").index(status)])
        return flow.id

    async def read(self, only: FlowFilter, before: str | None = None, limit: int = 50) -> list[int]:
        async with self.database.read() as snapshot:
            return [self.numbers[flow.id] for flow in await views.flows(snapshot, self.user_id, only, before, limit)]


async def _archive(database: Database) -> Archive:
    archive = Archive(database)
    await archive.add("cut", "cpu", "film", "urgent", status="completed")
    await archive.add("cut", "net", "film")
    await archive.add("send", "net", status="completed")
    await archive.add("cut", "cpu", "urgent", status="active")
    await archive.add("send", "cpu", "film", status="completed")
    await archive.add("cut", "net", status="completed")
    return archive


async def test_each_filter_alone_and_all_together(database: Database) -> None:
    archive = await _archive(database)
    expected = [
        (FlowFilter(), [5, 4, 3, 2, 1, 0]),
        (FlowFilter(status="completed"), [5, 4, 2, 0]),
        (FlowFilter(status="active"), [3]),
        (FlowFilter(status="cancelled"), []),
        (FlowFilter(name="cut"), [5, 3, 1, 0]),
        (FlowFilter(name="inner"), []),
        (FlowFilter(queue_name="net"), [5, 2, 1]),
        (FlowFilter(queue_name="hidden"), []),
        (FlowFilter(tag="film"), [4, 1, 0]),
        (FlowFilter(tag="fil"), []),
        (FlowFilter(created_after=START + 2 * HOUR), [5, 4, 3]),
        (FlowFilter(created_after=START + 2 * HOUR - 1), [5, 4, 3, 2]),
        (FlowFilter(created_before=START + 2 * HOUR), [1, 0]),
        (FlowFilter(created_before=START + 2 * HOUR + 1), [2, 1, 0]),
        (FlowFilter(created_after=START, created_before=START + 3 * HOUR), [2, 1]),
        (FlowFilter(created_after=0, created_before=253_402_300_799_999), [5, 4, 3, 2, 1, 0]),
        (FlowFilter(created_after=-62_135_596_800_000), [5, 4, 3, 2, 1, 0]),
        (FlowFilter(created_before=-1), []),
        (FlowFilter(status="completed", name="cut"), [5, 0]),
        (FlowFilter(status="completed", queue_name="cpu"), [4, 0]),
        (FlowFilter(status="completed", tag="film"), [4, 0]),
        (FlowFilter(name="cut", queue_name="cpu", tag="urgent"), [3, 0]),
        (FlowFilter(tag="film", created_after=START + HOUR), [4]),
        (
            FlowFilter(
                status="completed",
                name="cut",
                queue_name="cpu",
                tag="film",
                created_after=START - 1,
                created_before=START + 1,
            ),
            [0],
        ),
    ]

    read = [(only, await archive.read(only)) for only, _ in expected]

    assert read == expected


@pytest.mark.parametrize("only", [FlowFilter(), FlowFilter(name="cut"), FlowFilter(tag="film")])
async def test_pages_show_each_flow_once_though_flows_are_added_between_them(
    database: Database, only: FlowFilter
) -> None:
    archive = await _archive(database)
    whole = await archive.read(only)
    ids = {number: flow_id for flow_id, number in archive.numbers.items()}
    read: list[int] = []

    while (page := await archive.read(only, ids[read[-1]] if read else None, limit=2)) and len(read) < 20:
        read += page
        await archive.add("cut", "cpu", "film")

    assert read == whole


async def test_flows_of_one_instant_come_in_one_order(database: Database) -> None:
    submitter = Submitter(database)
    new = await submitter.all(*(node() for _ in range(7)))
    newest_first = [flow.id for flow in reversed(new)]

    async with database.read() as snapshot:
        whole = await views.flows(snapshot, new[0].user_id, FlowFilter(), None, 50)
        rest = await views.flows(snapshot, new[0].user_id, FlowFilter(), newest_first[2], 50)

    assert [flow.id for flow in whole] == newest_first
    assert [flow.id for flow in rest] == newest_first[3:]


@pytest.mark.parametrize("later", [900, -900])
async def test_a_flow_is_found_by_its_date_though_its_id_was_drawn_at_another_moment(
    database: Database, later: int
) -> None:
    submitter = Submitter(database)
    submit = a_submit(
        database,
        clock=lambda: START + later,
        new_id=submitter.clock.new_id,
        accepted=submitter.accepted,
    )
    (flow,) = await submit(await submitter.caller(), [FlowRequest(root=node())])

    async with database.read() as snapshot:
        only = FlowFilter(created_after=START + later - 1, created_before=START + later + 1)
        found = await views.flows(snapshot, flow.user_id, only, None, 50)

    assert [view.id for view in found] == [flow.id]


async def test_other_users_flows_are_never_read(database: Database) -> None:
    submitter = Submitter(database)
    tagged = FlowRequest(root=node("cut"), tags=("film",))
    mine, theirs = await submitter.one(tagged, user="me"), await submitter.one(tagged, user="them")

    async with database.read() as snapshot:
        for only in (FlowFilter(), FlowFilter(name="cut"), FlowFilter(tag="film"), FlowFilter(status="waiting")):
            assert [flow.id for flow in await views.flows(snapshot, mine.user_id, only, None, 50)] == [mine.id]
        found = await views.flows_by_id(snapshot, mine.user_id, [mine.id, theirs.id, "nobody"])
        assert [flow.id for flow in found] == [mine.id]
        with pytest.raises(NotFound):
            await views.flow(snapshot, mine.user_id, theirs.id)
        with pytest.raises(NotFound):
            await views.job(snapshot, mine.user_id, theirs.jobs[0].id)


async def test_a_flow_that_nobody_knows_is_not_found(database: Database) -> None:
    async with database.read() as snapshot:
        for unknown in ("nobody", "", "' OR 1=1 --", "x" * 10_000):
            with pytest.raises(NotFound):
                await views.flow(snapshot, "local", unknown)
            with pytest.raises(NotFound):
                await views.job(snapshot, "local", unknown)


async def test_a_flow_shows_the_result_of_its_root_and_no_others(database: Database) -> None:
    submitter = Submitter(database)
    flow = await submitter.one(node("root", node("child")))
    facts = [
        a_fact(FactKind.ACTIVE, START + 1, flow.jobs[1].job_id),
        a_fact(FactKind.COMPLETED, START + 2, flow.jobs[1].job_id, result=Json('"child"')),
    ]
    await record(database, facts)
    async with database.read() as snapshot:
        assert (await views.flow(snapshot, flow.user_id, flow.id)).result is None

    facts = [
        a_fact(FactKind.ACTIVE, START + 3, flow.jobs[0].job_id),
        a_fact(FactKind.COMPLETED, START + 4, flow.jobs[0].job_id, result=Json('{"of": "root"}')),
    ]
    await record(database, facts)

    async with database.read() as snapshot:
        assert (await views.flow(snapshot, flow.user_id, flow.id)).result == '{"of": "root"}'
        (listed,) = await views.flows(snapshot, flow.user_id, FlowFilter(), None, 50)
        assert listed.result == '{"of": "root"}'
