"""Workers of both kinds at work: bullflow's own, and BullMQ's for Node. They have the same handlers."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

from bullflow.clock import milliseconds
from support.any_worker import LOCK, LOOK_EVERY, WORK, python_worker
from support.node import node_worker
from support.processes import Process, processes
from support.queues import Bull, working

KINDS = ("python", "node")
OTHER = {"python": "node", "node": "python"}


@asynccontextmanager
async def at_work(kind: str, bull: Bull, folder: Path, *, concurrency: int = 10) -> AsyncIterator[None]:
    """A worker of this kind, which finishes what it has begun when the block ends; often looks for dead ones' jobs."""
    if kind == "node":
        options = {"concurrency": concurrency, "stalledInterval": milliseconds(LOOK_EVERY)}
        with node_worker(bull.url, bull.prefix, WORK, folder / "node.log", **options) as process:
            yield
            assert process.stop() == 0, process.log()
    else:
        async with working(bull, python_worker(WORK, concurrency=concurrency, stalled_check=LOOK_EVERY)):
            yield


@contextmanager
def to_be_killed(kind: str, bull: Bull, folder: Path) -> Iterator[Process]:
    """A worker of this kind as a process of its own, whose jobs are soon found when it has died."""
    if kind == "node":
        options = {"lockDuration": milliseconds(LOCK), "stalledInterval": milliseconds(LOOK_EVERY)}
        with node_worker(bull.url, bull.prefix, WORK, folder / "mortal.log", **options) as process:
            yield process
    else:
        with processes(folder, redis_url=bull.url, prefix=bull.prefix) as run:
            yield run.start("worker", "tests.support.any_worker:mortal")
