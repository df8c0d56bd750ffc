"""A worker alone on a queue full of no-ops, beside BullMQ's own for Node: `python -m bench.worker_alone`.

Both run one process with 50 slots against a Valkey of their own, in turns. A round begins with a paused
queue, a worker that waits and 20,000 jobs; it lasts from the start of the first to the end of the last, as
their hashes say. Beside the rate stands what it costs: processor time of the worker and of Valkey.
"""

import argparse
import asyncio
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import bullmq
import psutil
from rich.console import Console
from rich.table import Table

from bench.measure import Row
from bench.peers.programs import NODE
from bench.service import machine, processor_time
from bullflow import Job, Worker
from bullflow.engine.connection import connect
from bullflow.engine.embedded import EmbeddedEngine

QUEUE = "alone"
CONCURRENCY = 50
JOBS = 20_000
ROUNDS = 3
LONE_JOBS = 200
KINDS = ("bullflow", "node")
_AT_A_TIME = 2_000
_SCRIPT = Path(__file__).parent / "node" / "worker.mjs"

worker = Worker(QUEUE, concurrency=CONCURRENCY)


@worker.task("noop")
async def noop(_: Job) -> None:
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """Jobs a second, and microseconds of processor time a job."""

    rate: float
    worker_us: float
    engine_us: float


def worker_alone(jobs: int = JOBS, rounds: int = ROUNDS) -> list[Row]:
    """Rates of both kinds, their ratio, and what a lone job takes."""
    return asyncio.run(_measured(jobs, rounds))


async def _measured(jobs: int, rounds: int) -> list[Row]:
    full: dict[str, list[Round]] = {kind: [] for kind in KINDS}
    for number in range(rounds):
        # Each goes first in every other round.
        for kind in KINDS[:: 1 if number % 2 else -1]:
            full[kind].append(await one_round(kind, jobs))
    lone = {kind: await _lone(kind) for kind in KINDS}
    return [*_rows(jobs, full), *_lone_rows(lone)]


@asynccontextmanager
async def _engine() -> AsyncIterator[tuple[EmbeddedEngine, Any, Any]]:
    """A new Valkey, a client of it, and BullMQ's queue in it."""
    with tempfile.TemporaryDirectory(prefix="bullflow-bench-") as folder:
        engine = EmbeddedEngine(Path(folder))
        await engine.start()
        client, queue = connect(engine.url, "bench"), bullmq.Queue(QUEUE, {"connection": engine.url})
        try:
            yield engine, client, queue
        finally:
            await queue.close()
            await client.aclose()
            await engine.stop()


async def one_round(kind: str, jobs: int) -> Round:
    async with _engine() as (engine, client, queue):
        await queue.pause()
        for start in range(0, jobs, _AT_A_TIME):
            some = range(start, min(start + _AT_A_TIME, jobs))
            await queue.addBulk([{"name": "noop", "data": number} for number in some])
        with _working(kind, engine.url) as process:
            server = psutil.Process((await client.info("server"))["process_id"])
            await _until_idle(client)
            before = [processor_time(one) for one in (process, server)]
            await queue.resume()
            while await client.zcard(f"bull:{QUEUE}:completed") < jobs:  # noqa: ASYNC110 - its end has no event
                await asyncio.sleep(0.02)
            used = [processor_time(one) - start for one, start in zip((process, server), before, strict=True)]
        return Round(rate=jobs / await _seconds(client), worker_us=used[0] / jobs * 1e6, engine_us=used[1] / jobs * 1e6)


async def _lone(kind: str) -> list[float]:
    """Seconds from adding one job to an idle worker to hearing of its end."""
    async with _engine() as (engine, client, queue):
        with _working(kind, engine.url):
            await _until_idle(client)
            return [await _one(client, queue) for _ in range(LONE_JOBS)]


async def _one(client: Any, queue: Any) -> float:
    await asyncio.sleep(0.01)
    events = f"bull:{QUEUE}:events"
    latest = await client.xrevrange(events, count=1)
    position = latest[0][0] if latest else "0"
    start = time.perf_counter()
    await queue.add("noop", 1)
    while True:
        streams = await client.xread({events: position}, block=5_000)
        entries = [entry for _, entries in streams for entry in entries]
        if any(fields["event"] == "completed" for _, fields in entries):
            return time.perf_counter() - start
        position = entries[-1][0] if entries else position


@contextmanager
def _working(kind: str, url: str) -> Iterator[psutil.Process]:
    wish = json.dumps({"url": url, "queue": QUEUE, "concurrency": CONCURRENCY})
    target = ["worker", f"{__spec__.name}:worker", "--redis-url", url, "--log-level", "warning"]
    commands = {
        "node": [str(NODE), str(_SCRIPT), wish],
        "bullflow": [sys.executable, "-m", "bullflow.cli.main", *target],
    }
    process = subprocess.Popen(commands[kind])
    try:
        yield psutil.Process(process.pid)
    finally:
        process.kill()
        process.wait()


async def _until_idle(client: Any) -> None:
    """Return when a worker waits for work."""
    while not any("b" in one["flags"] for one in await client.client_list()):  # noqa: ASYNC110 - as above
        await asyncio.sleep(0.05)
    await asyncio.sleep(0.2)


async def _seconds(client: Any) -> float:
    """From the start of the first job to the end of the last."""
    first = int(await client.hget(f"bull:{QUEUE}:1", "processedOn"))
    ((_, last),) = await client.zrevrange(f"bull:{QUEUE}:completed", 0, 0, withscores=True)
    return float(last - first) / 1000


def _rows(jobs: int, full: dict[str, list[Round]]) -> list[Row]:
    ours, theirs = (statistics.median(one.rate for one in full[kind]) for kind in KINDS)
    rows = [
        (f"worker alone, {jobs:,} no-ops, {CONCURRENCY} at once, bullflow to BullMQ Node", f"{ours / theirs:.2f} x")
    ]
    for kind, rounds in full.items():
        rates = ", ".join(f"{one.rate:,.0f}" for one in rounds)
        cost = [statistics.median(getattr(one, part) for one in rounds) for part in ("worker_us", "engine_us")]
        rate = statistics.median(one.rate for one in rounds)
        rows.append((f"  {kind}: median (all)", f"{rate:,.0f} ({rates}) jobs/s"))
        rows.append((f"  {kind}: processor time a job, worker + Valkey", f"{cost[0]:.0f} + {cost[1]:.0f} µs"))
    return rows


def _lone_rows(lone: Mapping[str, Sequence[float]]) -> list[Row]:
    def told(seconds: Sequence[float]) -> str:
        return f"{statistics.median(seconds) * 1000:.1f} / {statistics.quantiles(seconds, n=20)[-1] * 1000:.1f} ms"

    return [(f"lone job, added to completed, median / p95, {kind}", told(seconds)) for kind, seconds in lone.items()]


def main() -> None:
    parser = argparse.ArgumentParser(prog="bench.worker_alone", description=__doc__)
    parser.add_argument("--jobs", type=int, default=JOBS)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    arguments = parser.parse_args()
    console = Console(width=140)
    console.print(machine(), style="italic")
    table = Table("figure", "measured")
    for row in worker_alone(arguments.jobs, arguments.rounds):
        table.add_row(*row)
    console.print(table)


if __name__ == "__main__":
    main()
