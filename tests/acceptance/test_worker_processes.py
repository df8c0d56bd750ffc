"""`bullflow worker --processes N` and `bullflow up --processes N`: real processes, ended by real signals."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from bullflow import AsyncClient
from support.eventually import eventually
from support.handlers import a_sum_of
from support.processes import Process, processes, started
from support.queues import Bull, connected, tree
from support.servers import Valkey, kill

WORKER = "tests.support.handlers:worker"
QUEUE = "sums"


@dataclass(frozen=True, slots=True, kw_only=True)
class Crew:
    """Three processes with one slot each."""

    bull: Bull
    parent: Process
    notes: Path
    release: Path

    async def add(self, jobs: int) -> None:
        """Jobs that run until they are released."""
        await self.bull.add(*(tree("until-file", queue=QUEUE, data={"path": str(self.release)}) for _ in range(jobs)))

    async def taking_part(self, count: int) -> list[int]:
        """The processes that have begun jobs, once there are so many."""

        async def so_many() -> list[int] | None:
            lines = self.notes.read_text().splitlines() if self.notes.exists() else []
            pids = list(dict.fromkeys(int(line.split()[0]) for line in lines))
            return pids if len(pids) >= count else None

        found = await eventually(so_many)
        assert found is not None
        return found


@asynccontextmanager
async def crew(valkey: Valkey, prefix: str, folder: Path) -> AsyncIterator[Crew]:
    notes = folder / "notes"
    async with connected(valkey.url, prefix) as bull:
        with processes(folder / "logs", redis_url=valkey.url, prefix=prefix, test_notes=str(notes)) as run:
            parent = run.start("worker", WORKER, "--processes", "3", "--concurrency", "1")
            children: list[psutil.Process] = []
            try:
                made = Crew(bull=bull, parent=parent, notes=notes, release=folder / "release")
                await made.add(3)
                children = [psutil.Process(pid) for pid in await made.taking_part(3)]
                yield made
            finally:
                for child in children:
                    if child.is_running():
                        child.kill()


async def test_all_take_part_a_killed_one_is_replaced_and_running_jobs_may_finish(
    valkey: Valkey, prefix: str, tmp_path: Path
) -> None:
    async with crew(valkey, prefix, tmp_path) as three:
        victim, *others = await three.taking_part(3)
        kill(victim)
        *_, replacement = await three.taking_part(4)  # it has found the job of the one that was killed
        stopping = asyncio.create_task(asyncio.to_thread(three.parent.stop))

        async def is_told() -> bool:
            return three.parent.log().count("worker.stopping") == 3

        await eventually(is_told)
        still_there = [psutil.pid_exists(pid) for pid in (*others, replacement)]
        three.release.touch()

        assert await stopping == 0, three.parent.log()
        assert still_there == [True] * 3
        assert len([event for event in await three.bull.events(QUEUE) if event["event"] == "completed"]) == 3
        assert not any(psutil.pid_exists(pid) for pid in (*others, replacement))


async def test_when_the_one_above_is_killed_the_others_end(valkey: Valkey, prefix: str, tmp_path: Path) -> None:
    async with crew(valkey, prefix, tmp_path) as three:
        pids = await three.taking_part(3)
        three.release.touch()
        await asyncio.to_thread(three.parent.kill)

        async def are_gone() -> bool:
            return not any(psutil.pid_exists(pid) for pid in pids)

        await eventually(are_gone)


async def test_a_module_that_is_not_there_is_said_once(tmp_path: Path) -> None:
    with processes(tmp_path, redis_url="redis://127.0.0.1:1") as run:
        process = run.start("worker", "nowhere:worker", "--processes", "3")

        assert await asyncio.to_thread(process.ended) == 1
        assert process.log().count("there is no module nowhere") == 1
        assert "worker.process_started" not in process.log()


async def test_processes_that_end_at_once_end_all(tmp_path: Path) -> None:
    (tmp_path / "lame.py").write_text(
        "import sys\nfrom bullflow import Worker\n\n"
        "worker = Worker('lame')\nif '--under' in sys.argv:\n    sys.exit(3)\n"
    )
    command = [sys.executable, "-m", "bullflow.cli.main", "worker", "lame:worker", "--processes", "2"]
    path = os.pathsep.join((str(tmp_path), os.environ.get("PYTHONPATH", "")))
    environment = {"PYTHONPATH": path, "BULLFLOW_REDIS_URL": "redis://127.0.0.1:1"}
    process = started(command, tmp_path / "log", environment)

    assert await asyncio.to_thread(process.ended) == 1
    assert "a worker process ended at once, with exit code 3" in process.log()


@pytest.mark.parametrize("count", ["0", "-1", "many"])
async def test_there_is_at_least_one_process(tmp_path: Path, count: str) -> None:
    with processes(tmp_path) as run:
        process = run.start("worker", WORKER, "--processes", count)

        assert await asyncio.to_thread(process.ended) == 2
        assert "--processes" in process.log()


async def test_up_gives_its_workers_processes_of_their_own_which_end_with_it(data_dir: Path, tmp_path: Path) -> None:
    notes = tmp_path / "notes"
    with processes(tmp_path / "logs", data_dir=str(data_dir), test_notes=str(notes)) as run:
        up, url = run.start_ready("up", WORKER, "--port", "0", "--processes", "2")
        async with AsyncClient(url) as client:
            flows = [await client.create(a_sum_of(1, 2, 3)) for _ in range(20)]
            ended = [await client.wait(flow.id, timeout=30) for flow in flows]
        pids = {int(line.split()[0]) for line in notes.read_text().splitlines()}
        code = up.stop()

        async def gone() -> bool:
            return not any(psutil.pid_exists(pid) for pid in pids)

        await eventually(gone)
    assert {flow.result for flow in ended} == {6}
    assert pids
    assert up.pid not in pids
    assert code == 0
