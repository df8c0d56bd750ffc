"""SIGTERM while a system is away or says nothing: every process ends by itself, within the time that it has."""

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path
from time import monotonic

import pytest

from bullflow import AsyncClient
from support.eventually import eventually
from support.lines import line
from support.processes import Process, processes
from support.servers import PostgresServer, Valkey

WORKER = "tests.support.handlers:worker"
STOP_TIMEOUT = 3
WITHIN = STOP_TIMEOUT + 12
"""Handlers that ignore their signal get five seconds more; dialling a store that says nothing takes five."""


async def stopped(process: Process) -> float:
    begun = monotonic()
    assert await asyncio.to_thread(process.stop, within=30) == 0, process.log()
    return monotonic() - begun


@pytest.mark.parametrize("trouble", ["cut", "frozen"])
async def test_without_store_and_engine_every_process_ends_in_time(
    postgres: PostgresServer, valkey: Valkey, prefix: str, tmp_path: Path, trouble: str
) -> None:
    """The worker has a job that it cannot hand in any more."""
    release = tmp_path / "release"
    async with AsyncExitStack() as stack:
        store = await stack.enter_async_context(line(postgres.new_database()))
        engine = await stack.enter_async_context(line(valkey.url))
        shared = {"database_url": store.url, "redis_url": engine.url, "stop_timeout": str(STOP_TIMEOUT)}
        notes = tmp_path / "notes"
        run = stack.enter_context(
            processes(tmp_path / "logs", prefix=prefix, test_notes=str(notes), data_dir=str(tmp_path), **shared)
        )
        api, recorder = run.start("api", "--port", "0"), run.start("recorder")
        worker, up = run.start("worker", WORKER), run.start("up", "--port", "0")
        address = (await asyncio.to_thread(api.first_line)).rpartition(" ")[2]
        for process in (recorder, up):
            await asyncio.to_thread(process.first_line)
        async with AsyncClient(address) as client:
            await client.create({"name": "until-file", "queueName": "sums", "data": {"path": str(release)}})

            async def runs() -> bool:
                return notes.exists()

            await eventually(runs)
            for away in (store, engine):
                if trouble == "cut":
                    await away.cut()
                else:
                    away.freeze()
            release.touch()

        took = await asyncio.gather(*map(stopped, (api, recorder, worker, up)))

    assert max(took) < WITHIN, took
