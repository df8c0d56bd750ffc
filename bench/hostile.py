"""What it costs everybody else when somebody sends what is meant to hurt: their latency with and without it.

Whoever attacks has a process of its own with the lowest priority: elsewhere it would have other processors. What such
processes cost that ask for nothing is measured as well; the rest is ours.
"""

import asyncio
import multiprocessing
import os
import statistics
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from multiprocessing.sharedctypes import Synchronized

import psutil

from bench.connections import Http, connected
from bench.driving import NOOP, percentile
from bench.measure import Row
from bench.service import Running

SECONDS = 10
ATTACKERS = 4
MIB = 2**20
_JOB = b'{"name":"c","queueName":"q"}'
ATTACKS: Mapping[str, bytes] = {
    "10,000 children, the last one wrong": b'{"name":"a","queueName":"q","children":[%b,{"name":""}]}'
    % b",".join([_JOB] * 9_998),
    "100,000 children": b'{"name":"a","queueName":"q","children":[%b]}' % b",".join([_JOB] * 100_000),
    "30 MiB of objects": b'{"name":"a","queueName":"q","data":[%b]}' % b",".join([b"{}"] * (10 * MIB)),
    "1,900,000 values": b'{"name":"a","queueName":"q","data":[%b]}' % b",".join([b"1"] * 1_900_000),
    "30 MiB of text": b'{"name":"a","queueName":"q","data":"%b"}' % (b"x" * (30 * MIB)),
    "deep": b"[" * MIB,
}


async def hostile(running: Running) -> list[Row]:
    """The p95 of a small request of somebody else, and the memory of the service, under each attack."""
    service = psutil.Process(running.process.pid)
    async with connected(running.url) as http:
        made = (await http.post("/flows", NOOP))["id"]
        calm = await _latency(http, made)
        async with _others(_compute):
            busy = await _latency(http, made)
        rows = [
            ("nobody attacks: GET /flows/{id}, median and p95", _shown(calm)),
            (f"{ATTACKERS} processes only compute", f"{_shown(busy)}, p95 {_ratio(busy, calm)}"),
        ]
        for name, body in ATTACKS.items():
            async with _others(_attack, running.url, body) as ended:
                before = ended.value
                hurt = await _latency(http, made)
                attacks = (ended.value - before) / SECONDS
            ratios = f"p95 {_ratio(hurt, calm)}, against the busy machine {_ratio(hurt, busy)}"
            memory = service.memory_info().rss / MIB
            rows.append((name, f"{_shown(hurt)}, {ratios}; {attacks:.1f} attacks/s; {memory:.0f} MiB"))
    return rows


def _ratio(times: list[float], against: list[float]) -> str:
    return f"{percentile(times, 95) / percentile(against, 95):.1f}×"


def _shown(times: list[float]) -> str:
    return f"{statistics.median(times):.1f} and {percentile(times, 95):.1f} ms"


async def _latency(http: Http, flow_id: str) -> list[float]:
    times = []
    end = time.perf_counter() + SECONDS
    while time.perf_counter() < end:
        start = time.perf_counter()
        await http.get(f"/flows/{flow_id}")
        times.append((time.perf_counter() - start) * 1000)
        await asyncio.sleep(0.01)
    return times


@asynccontextmanager
async def _others(work: Callable[..., None], *arguments: object) -> AsyncIterator["Synchronized[int]"]:
    """They are at work for as long as the block; what it gets is how often one of them has ended something."""
    spawn = multiprocessing.get_context("spawn")
    ended: Synchronized[int] = spawn.Value("i", 0)
    others = [spawn.Process(target=_do, args=(work, ended, *arguments), daemon=True) for _ in range(ATTACKERS)]
    try:
        for other in others:
            other.start()
        while ended.value < ATTACKERS:  # noqa: ASYNC110 - other processes count
            await asyncio.sleep(0.1)
        yield ended
    finally:
        for other in others:
            other.kill()


def _do(work: Callable[..., None], ended: "Synchronized[int]", *arguments: object) -> None:
    os.nice(19)
    work(ended, *arguments)


def _compute(ended: "Synchronized[int]") -> None:
    while True:
        sum(range(1_000_000))
        _end_one(ended)


def _attack(ended: "Synchronized[int]", url: str, body: bytes) -> None:
    asyncio.run(_send(ended, url, body))


async def _send(ended: "Synchronized[int]", url: str, body: bytes) -> None:
    async with connected(url) as http:
        while True:
            with suppress(SystemExit, OSError, EOFError):
                await http.post("/flows", body)
            _end_one(ended)


def _end_one(ended: "Synchronized[int]") -> None:
    with ended.get_lock():
        ended.value += 1
