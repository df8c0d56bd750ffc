"""What was ended in the store is taken out of the engine, and the flow's mark goes when that is certain."""

import asyncio
from pathlib import Path

import pytest

from bullflow import telemetry
from bullflow.engine.remover import Remover
from bullflow.errors import EngineAway
from bullflow.flow import ending
from bullflow.flow.ending import Withdrawn
from bullflow.flow.plan import unfinished
from bullflow.store import backlog, changing, states
from bullflow.store.database import Database
from bullflow.store.flows import NewFlow
from bullflow.withdrawer import FLOWS_A_ROUND, Withdrawer
from support.flows import START, Submitter, node
from support.queues import JOBS, Bull, connected
from support.servers import SqliteServer, Valkey

TREE = node("root", node("child", queue=JOBS), node("late", queue="far", delay=60_000), queue=JOBS)


def withdrawer(database: Database, bull: Bull) -> Withdrawer:
    remover = Remover(bull.client, bull.prefix, origin="test")
    return Withdrawer(database, remover, log=telemetry.logger("withdrawer"))


async def dispatch(database: Database, bull: Bull, *new: NewFlow) -> None:
    async with database.read() as snapshot:
        for flow in new:
            branch = unfinished(await backlog.jobs_to_dispatch(snapshot, [flow.id]))
            assert branch is not None
            await bull.add(branch)


async def cancel(database: Database, *new: NewFlow) -> None:
    async with database.write() as transaction:
        for flow in new:
            state = await states.flow(transaction, None, flow.id)
            open_jobs = await states.open_jobs(transaction, flow.id)
            await changing.apply(transaction, ending.cancel(state, open_jobs, START + 9))


async def due(database: Database) -> list[str]:
    async with database.read() as snapshot:
        return await backlog.to_withdraw(snapshot, 1_000)


async def in_engine(bull: Bull, flow: NewFlow) -> list[str]:
    """The names of the flow's jobs that the engine knows."""
    return [job.node.name for job in flow.jobs if await bull.job(job.job_id, job.node.queue_name)]


async def test_a_cancelled_flow_leaves_the_engine_and_its_mark_goes(database: Database, bull: Bull) -> None:
    submitter = Submitter(database)
    flow, other = await submitter.one(TREE), await submitter.one(TREE)
    await dispatch(database, bull, flow, other)
    await cancel(database, flow)

    assert await withdrawer(database, bull).run_once() == 1

    assert await in_engine(bull, flow) == []
    assert await in_engine(bull, other) == ["root", "child", "late"]
    assert await due(database) == []
    assert await withdrawer(database, bull).run_once() == 0


async def test_a_flow_that_never_came_into_the_engine_is_kept_out_of_it(database: Database, bull: Bull) -> None:
    flow = await Submitter(database).one(TREE)
    async with database.read() as snapshot:
        branch = unfinished(await backlog.jobs_to_dispatch(snapshot, [flow.id]))
    assert branch is not None
    await cancel(database, flow)

    await withdrawer(database, bull).run_once()

    assert await due(database) == []
    assert await bull.producer().add([branch]) == []


async def test_what_is_doomed_before_the_answer_is_removed_by_the_next_round(database: Database, bull: Bull) -> None:
    flow = await Submitter(database).one(TREE)
    await dispatch(database, bull, flow)
    await cancel(database, flow)

    await withdrawer(database, bull).doom(flow.id)

    doomed = [(await bull.job(job.job_id, job.node.queue_name)).get("defa") for job in flow.jobs]
    assert doomed == ["cancelled"] * 3
    assert await due(database) == [flow.id]
    await withdrawer(database, bull).run_once()
    assert await in_engine(bull, flow) == []


async def test_a_flow_of_which_more_ends_while_it_is_withdrawn_is_withdrawn_once_more(
    database: Database, bull: Bull
) -> None:
    flow = await Submitter(database).one(TREE)
    await dispatch(database, bull, flow)
    async with database.write() as transaction:
        state = await states.flow(transaction, None, flow.id)
        (late,) = [job for job in await states.open_jobs(transaction, flow.id) if job.name == "late"]
        await changing.apply(transaction, ending.cancel(state, [late], START + 9))

    class Overtaken(Remover):
        async def remove(self, doomed: list[Withdrawn]) -> None:  # type: ignore[override]
            await super().remove(doomed)
            await cancel(database, flow)

    overtaken = Withdrawer(
        database, Overtaken(bull.client, bull.prefix, origin="test"), log=telemetry.logger("withdrawer")
    )
    await overtaken.run_once()

    assert await in_engine(bull, flow) == ["root", "child"]
    assert await due(database) == [flow.id]
    await withdrawer(database, bull).run_once()
    assert await in_engine(bull, flow) == []
    assert await due(database) == []


async def test_a_backlog_is_worked_off_in_rounds(database: Database, bull: Bull) -> None:
    submitter = Submitter(database)
    new = await submitter.all(*[TREE] * (FLOWS_A_ROUND + 3))
    await cancel(database, *new)

    rounds = [await withdrawer(database, bull).run_once() for _ in range(3)]

    assert rounds == [FLOWS_A_ROUND, 3, 0]
    assert await due(database) == []


async def test_while_the_engine_is_away_the_round_lasts_and_whoever_asks_for_one_flow_is_told(
    sqlite: SqliteServer, tmp_path: Path, prefix: str
) -> None:
    engine, database = Valkey(tmp_path / "engine"), Database(sqlite.new_database())
    flow = await Submitter(database).one(TREE)
    async with connected(engine.url, prefix) as bull:
        async with engine:
            await dispatch(database, bull, flow)
        await cancel(database, flow)
        leader, api = withdrawer(database, bull), withdrawer(database, bull)

        for act in (api.doom, api.finish):
            with pytest.raises(EngineAway):
                await act(flow.id)
        round_of_the_leader = asyncio.create_task(leader.run_once())
        done, _ = await asyncio.wait({round_of_the_leader}, timeout=0.3)
        assert not done
        assert await due(database) == [flow.id]

        async with engine:
            assert await asyncio.wait_for(round_of_the_leader, 10) == 1
            assert await in_engine(bull, flow) == []
        assert await due(database) == []
    await database.close()
