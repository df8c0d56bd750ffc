"""What an audit reads of the store, over both databases: page by page, everything once."""

from collections.abc import Awaitable, Callable
from functools import partial

import pytest
from sqlalchemy import update

from bullflow.flow.states import JobStatus
from bullflow.store import audits
from bullflow.store.audits import Page
from bullflow.store.database import Database
from bullflow.store.tables import Flow, FlowJob
from bullflow.store.transaction import Transaction
from support.flows import Submitter, node

END = 1_000_000


async def all_pages(database: Database, ask: Callable[[Transaction, str], Awaitable[Page]]) -> list[str]:
    found: list[str] = []
    after: str | None = ""
    while after is not None:
        async with database.read() as snapshot:
            page = await ask(snapshot, after)
        found += page.flows
        after = page.next
    return found


@pytest.mark.parametrize("page", [500, 2, 1])
async def test_pages_hold_each_flow_once_however_they_are_cut(
    database: Database, monkeypatch: pytest.MonkeyPatch, page: int
) -> None:
    flows = await Submitter(database).all(*(node(f"n{n}") for n in range(12)))
    async with database.write() as transaction:
        for place, flow in enumerate(flows[:9]):
            goes_on = int(place % 3 == 0)
            change = {"finished_at": END + place, "updated_at": END + place, "n_waiting": goes_on}
            await transaction.execute(update(Flow).where(Flow.id == flow.id).values(change))
    monkeypatch.setattr(audits, "FLOWS_A_PAGE", page)

    assert await all_pages(database, audits.unfinished) == [flow.id for flow in flows[9:]]
    assert await all_pages(database, audits.trailing) == [flows[place].id for place in (0, 3, 6)]
    assert await all_pages(database, partial(audits.trailing, quiet_since=END + 6)) == [flows[0].id, flows[3].id]
    assert await all_pages(database, partial(audits.ended, since=END + 5)) == [flows[5].id, flows[7].id, flows[8].id]


async def test_jobs_are_read_open_or_all_and_know_whether_their_flow_is_due(database: Database) -> None:
    (flow,) = await Submitter(database).all(node("root", node("a"), node("b")))
    root, first, second = flow.jobs
    async with database.write() as transaction:
        ended = {"status": JobStatus.COMPLETED.value}
        await transaction.execute(update(FlowJob).where(FlowJob.id == first.id).values(ended))

    async with database.read() as snapshot:
        open_jobs = await audits.jobs(snapshot, [flow.id], ended=False)
        every = await audits.jobs(snapshot, [flow.id], ended=True)

    assert [job.id for job in open_jobs] == [root.id, second.id]
    assert [job.id for job in every] == [root.id, first.id, second.id]
    assert [(job.is_root, job.is_parent, job.is_due) for job in every] == [
        (True, True, True), (False, False, True), (False, False, True),
    ]  # fmt: skip
