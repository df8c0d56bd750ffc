"""What an audit reads of the store, over both databases: page by page, everything once."""

import pytest
from sqlalchemy import update

from bullflow.flow.states import JobStatus
from bullflow.store import audits
from bullflow.store.database import Database
from bullflow.store.tables import Flow, FlowJob
from support.flows import Submitter, node

END = 1_000_000


async def pages_of_ended(database: Database, since: int) -> list[str]:
    found: list[str] = []
    after: str | None = ""
    while after is not None:
        async with database.read() as snapshot:
            page = await audits.ended(snapshot, after, since)
        found += page.flows
        after = page.next
    return found


async def test_pages_hold_each_flow_that_has_ended_lately_or_goes_on_once_however_they_are_cut(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    flows = await Submitter(database).all(*(node(f"n{n}") for n in range(12)))
    async with database.write() as transaction:
        for place, flow in enumerate(flows[:9]):
            goes_on = int(place % 3 == 0)
            ended = {"finished_at": END + place, "n_waiting": goes_on}
            await transaction.execute(update(Flow).where(Flow.id == flow.id).values(ended))
    wanted = [flow.id for place, flow in enumerate(flows[:9]) if place % 3 == 0 or place >= 5]

    for page, slice_ in ((500, 20_000), (2, 20_000), (500, 3), (2, 3), (1, 1)):
        monkeypatch.setattr(audits, "FLOWS_A_PAGE", page)
        monkeypatch.setattr(audits, "FLOWS_A_SLICE", slice_)
        assert await pages_of_ended(database, END + 5) == wanted
    async with database.read() as snapshot:
        unfinished = await audits.unfinished(snapshot, "")
    assert list(unfinished.flows)[:1] == [flows[9].id]


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
