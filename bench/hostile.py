"""What it costs everybody else when somebody sends what is meant to hurt: their latency with and without it.

Whoever attacks has a process of its own with the lowest priority: elsewhere it would have other processors.
"""

import asyncio
import multiprocessing
import os
import statistics
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
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
        rows = [("nobody attacks: GET /flows/{id}, median and p95", _shown(calm))]
        for name, body in ATTACKS.items():
            with _attackers(running.url, body) as ended:
                while not ended.value:  # noqa: ASYNC110 - other processes count
                    await asyncio.sleep(0.1)
                before = ended.value
                hurt = await _latency(http, made)
                attacks = (ended.value - before) / SECONDS
            ratio = percentile(hurt, 95) / percentile(calm, 95)
            memory = service.memory_info().rss / MIB
            rows.append((name, f"{_shown(hurt)}, p95 {ratio:.1f}×; {attacks:.1f} attacks/s; {memory:.0f} MiB"))
    return rows


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


@contextmanager
def _attackers(url: str, body: bytes) -> Iterator["Synchronized[int]"]:
    """They send as long as the block lasts; what it gets is how many requests have ended, however they did."""
    spawn = multiprocessing.get_context("spawn")
    ended: Synchronized[int] = spawn.Value("i", 0)
    attackers = [spawn.Process(target=_attack, args=(url, body, ended), daemon=True) for _ in range(ATTACKERS)]
    try:
        for attacker in attackers:
            attacker.start()
        yield ended
    finally:
        for attacker in attackers:
            attacker.kill()


def _attack(url: str, body: bytes, ended: "Synchronized[int]") -> None:
    os.nice(19)
    asyncio.run(_send(url, body, ended))


async def _send(url: str, body: bytes, ended: "Synchronized[int]") -> None:
    async with connected(url) as http:
        while True:
            with suppress(SystemExit, OSError, EOFError):
                await http.post("/flows", body)
            with ended.get_lock():
                ended.value += 1
