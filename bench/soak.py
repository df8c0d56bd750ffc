"""`make soak`: many small flows, all of them kept for a minute only; neither the store nor the engine may grow.

Flows of all kinds come at a steady rate. After the warm-up (what is kept is full, and the first of it has gone), the
second half of the samples is compared with the first. The command fails when something has grown.
"""

import argparse
import asyncio
import sqlite3
import statistics
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg
from rich.console import Console
from rich.table import Table

from bench.databases import postgres
from bench.mixed import KINDS, ONCE, flow
from bench.service import Running, machine, up
from bullflow import AsyncClient
from bullflow.engine.address import engine_url
from bullflow.engine.connection import connect
from bullflow.settings import load

KEEP = 60
WORKERS = ("bench.mixed:worker", "bench.mixed:once")
WARM_UP = KEEP + 60
SAMPLE_EVERY = 10
MAY_GROW = 1.10
"""The second half may be so many times the first: the load is never quite even."""
TABLES = ("flows", "flow_jobs", "flow_log", "job_log", "flow_tags", "idempotency_keys")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One look at all that could grow; `memory` of the service is shown and not judged.

    Keys that go by themselves are not counted: locks, and a mark for an hour of each flow that was withdrawn.
    """

    at: float
    flows: int
    rows: int
    store_bytes: int
    engine_keys: int
    engine_bytes: int
    memory: int


JUDGED = ("rows", "store_bytes", "engine_keys", "engine_bytes")


def main() -> None:
    parser = argparse.ArgumentParser(prog="soak", description=__doc__)
    parser.add_argument("--database", choices=["sqlite", "postgres", "both"], default="both")
    parser.add_argument("--minutes", type=float, default=6, help="for each database, the warm-up of 2 among them")
    parser.add_argument("--rate", type=float, default=20, help="flows a second")
    arguments = parser.parse_args()
    console = Console(width=140)
    console.print(machine(), style="italic")
    grown = []
    if arguments.database in ("sqlite", "both"):
        grown += _soak(console, "SQLite", None, arguments)
    if arguments.database in ("postgres", "both"):
        with _postgres() as url:
            grown += _soak(console, "Postgres", url, arguments)
    if grown:
        sys.exit("grown: " + ", ".join(grown))


@contextmanager
def _postgres() -> Iterator[str]:
    with postgres() as store:
        assert store.server is not None
        with psycopg.connect(store.server, autocommit=True) as connection:
            # The room of deleted rows is used again after a vacuum; by default it looks once a minute.
            connection.execute("ALTER SYSTEM SET autovacuum_naptime = '5s'")
            connection.execute("SELECT pg_reload_conf()")
        yield store.server


def _soak(console: Console, title: str, database_url: str | None, arguments: argparse.Namespace) -> list[str]:
    """Returns what has grown."""
    settings = {"BULLFLOW_KEEP_FLOWS": str(KEEP), "BULLFLOW_ENGINE_KEEP": str(KEEP)}
    with up(database_url, WORKERS, settings=settings) as running:
        samples = asyncio.run(_watch(running, database_url, arguments.minutes * 60, arguments.rate))
    console.print(_table(title, samples, arguments.rate))
    grown = []
    for name in JUDGED:
        first, second = _halves(samples, name)
        console.print(f"  {name}: {first:,.0f} → {second:,.0f} ({100 * (second / first - 1):+.1f} %)")
        if second > first * MAY_GROW:
            grown.append(f"{name} on {title}")
    return grown


async def _watch(running: Running, database_url: str | None, seconds: float, rate: float) -> list[Sample]:
    samples: list[Sample] = []
    made = [0]
    start = time.monotonic()
    load_ = asyncio.create_task(_load(running, rate, made))
    try:
        while (at := time.monotonic() - start) < seconds:
            rows, size = await asyncio.to_thread(_store, running, database_url)
            keys, used = await _engine(running)
            memory = running.process.memory_info().rss
            samples.append(
                Sample(
                    at=at,
                    flows=made[0],
                    rows=rows,
                    store_bytes=size,
                    engine_keys=keys,
                    engine_bytes=used,
                    memory=memory,
                )
            )
            await asyncio.wait({load_}, timeout=SAMPLE_EVERY)
            if load_.done():
                load_.result()
    finally:
        load_.cancel()
    return samples


async def _load(running: Running, rate: float, made: list[int]) -> None:
    """Flows at this rate for ever; what a slow service has not taken in time is made up for."""
    start = time.monotonic()
    async with AsyncClient(running.url, timeout=60) as client:
        while True:
            number = made[0]
            await asyncio.sleep(max(0.0, start + number / rate - time.monotonic()))
            queue = {"queue": ONCE} if number < rate * 20 else {}
            created = await client.create(flow(number, **queue), idempotency_key=f"soak-{number}")
            if KINDS[number % len(KINDS)] == "cancelled":
                await client.cancel(created.id)
            made[0] += 1


def _store(running: Running, database_url: str | None) -> tuple[int, int]:
    """Rows, and bytes that are in use."""
    counts = " + ".join(f"(SELECT count(*) FROM {table})" for table in TABLES)
    if database_url is None:
        with closing(sqlite3.connect(f"file:{running.data_dir}/bullflow.db?mode=ro", uri=True)) as database:
            size = "(page_count - freelist_count) * page_size"
            of = "pragma_page_count(), pragma_freelist_count(), pragma_page_size()"
            (rows,) = database.execute(f"SELECT {counts}").fetchone()
            (used,) = database.execute(f"SELECT {size} FROM {of}").fetchone()
    else:
        with psycopg.connect(database_url) as connection:
            query: Any = f"SELECT {counts}, pg_database_size(current_database())"
            rows, used = connection.execute(query).fetchone() or (0, 0)
    return rows, used


async def _engine(running: Running) -> tuple[int, int]:
    """Keys that stay, and bytes."""
    client: Any = connect(engine_url(load(data_dir=running.data_dir)), "soak")
    try:
        keys = (await client.info("keyspace")).get("db0", {"keys": 0, "expires": 0})
        return keys["keys"] - keys["expires"], (await client.info("memory"))["used_memory"]
    finally:
        await client.aclose()


def _halves(samples: Sequence[Sample], name: str) -> tuple[float, float]:
    """The means of the two halves after the warm-up."""
    after = [getattr(sample, name) for sample in samples if sample.at > WARM_UP]
    if len(after) < 4:
        sys.exit("too short: nothing can be said about growth")
    half = len(after) // 2
    return statistics.mean(after[:half]), statistics.mean(after[half:])


def _table(title: str, samples: Sequence[Sample], rate: float) -> Table:
    head = ("second", "flows", "rows", "store MiB", "engine keys", "engine MiB", "service MiB")
    table = Table(*head, title=f"{title}, {rate:g} flows/s", title_justify="left")
    for sample in samples[::3]:
        sizes = [f"{size / 2**20:.1f}" for size in (sample.store_bytes, sample.engine_bytes, sample.memory)]
        table.add_row(
            f"{sample.at:.0f}",
            f"{sample.flows:,}",
            f"{sample.rows:,}",
            sizes[0],
            f"{sample.engine_keys:,}",
            sizes[1],
            sizes[2],
        )
    return table


if __name__ == "__main__":
    main()
