"""The measurements. Each takes a running service and gives rows of a table."""

import asyncio
import statistics
import time
from collections.abc import Sequence

import httpx

from bench.noop import flow
from bench.service import Running

Row = tuple[str, str]


async def lone_flow(running: Running, runs: int = 200) -> list[Row]:
    """One flow of 1 + 10 no-ops at a time on an idle system, from POST to `completed` read over REST."""
    whole, post = [], []
    async with httpx.AsyncClient(base_url=running.url) as http:
        for number in range(runs + 20):
            start = time.perf_counter()
            flow_id = (await http.post("/flows", json=flow(10))).json()["id"]
            accepted = time.perf_counter()
            await _completed(http, flow_id)
            if number >= 20:
                whole.append(time.perf_counter() - start)
                post.append(accepted - start)
            await asyncio.sleep(0.01)
    return [
        ("lone flow of 1 + 10, POST to completed, median / p95", f"{_ms(whole, 50)} / {_ms(whole, 95)} ms"),
        ("  of which the answer to POST, median / p95", f"{_ms(post, 50)} / {_ms(post, 95)} ms"),
    ]


async def burst(running: Running, jobs: int = 11_000, clients: int = 16) -> list[Row]:
    """Flows of 1 + 10 no-ops as fast as they go: from the first submit to the last result readable."""
    accepted, seconds = await _burst(running, jobs, clients)
    flows = jobs // 11
    return [
        (f"{flows} flows of 1 + 10, end to end", f"{jobs / seconds:,.0f} jobs/s ({seconds:.1f} s)"),
        ("  all of them accepted after", f"{accepted:.1f} s ({flows / accepted:,.0f} flows/s)"),
        ("  the record is behind the last accept by", f"{seconds - accepted:.1f} s"),
    ]


async def throughput(running: Running, jobs: int, clients: int = 16) -> float:
    """Jobs a second of such a burst."""
    _, seconds = await _burst(running, jobs, clients)
    return jobs / seconds


async def _burst(running: Running, jobs: int, clients: int) -> tuple[float, float]:
    """After how many seconds all was accepted, and all had ended."""
    flows = jobs // 11
    waiting = iter(range(flows))
    async with httpx.AsyncClient(base_url=running.url, timeout=120) as http:
        start = time.perf_counter()

        async def submit() -> None:
            for _ in waiting:
                (await http.post("/flows", json=flow(10))).raise_for_status()

        await asyncio.gather(*(submit() for _ in range(clients)))
        accepted = time.perf_counter() - start
        while await _open(http):  # noqa: ASYNC110 - the end of many flows has no event
            await asyncio.sleep(0.01)
        return accepted, time.perf_counter() - start


async def _completed(http: httpx.AsyncClient, flow_id: str) -> None:
    """Return when the record says that the flow has completed."""
    while (status := (await http.get(f"/flows/{flow_id}", params={"wait": 60})).json()["status"]) != "completed":
        if status in ("failed", "cancelled"):
            raise SystemExit(f"the measured flow has {status}")


async def _open(http: httpx.AsyncClient) -> bool:
    """Whether any flow has not ended."""
    for status in ("waiting", "active"):
        page = (await http.get("/flows", params={"status": status, "limit": 1})).json()
        if page["items"]:
            return True
    return False


async def big_flow(running: Running, jobs: int = 10_000) -> list[Row]:
    """One flow of 10,000 jobs: accepted, run, listed page by page."""
    body = flow(jobs - 1)
    before = running.process.memory_info().rss
    async with httpx.AsyncClient(base_url=running.url, timeout=120) as http:
        start = time.perf_counter()
        flow_id = (await http.post("/flows", json=body)).json()["id"]
        accepted = time.perf_counter() - start
        await _completed(http, flow_id)
        ran = time.perf_counter() - start
        after = running.process.memory_info().rss
        pages, listed = await _pages(http, flow_id)
        listing = running.process.memory_info().rss
    assert listed == jobs
    return [
        (f"one flow of {jobs:,} jobs, answer to POST", f"{accepted:.2f} s"),
        ("  completed after", f"{ran:.1f} s ({jobs / ran:,.0f} jobs/s)"),
        (f"  listed in pages of 500, p95 of {len(pages)}", f"{_ms(pages, 95)} ms"),
        ("  memory: before, after the run, after the listing", f"{_mib(before)}, {_mib(after)}, {_mib(listing)} MiB"),
    ]


async def _pages(http: httpx.AsyncClient, flow_id: str) -> tuple[list[float], int]:
    pages: list[float] = []
    cursor, listed = None, 0
    while True:
        start = time.perf_counter()
        parameters = {"limit": "500", **({"cursor": cursor} if cursor else {})}
        page = (await http.get(f"/flows/{flow_id}/jobs", params=parameters)).json()
        pages.append(time.perf_counter() - start)
        listed += len(page["items"])
        cursor = page["next"]
        if cursor is None:
            return pages, listed


async def idle(running: Running, seconds: float = 20) -> list[Row]:
    """What a service costs that nobody uses."""
    processes = [running.process, running.engine()]
    before = [sum(process.cpu_times()[:2]) for process in processes]
    await asyncio.sleep(seconds)
    used = [sum(process.cpu_times()[:2]) - start for process, start in zip(processes, before, strict=True)]
    names = ("service and worker", "Valkey")
    shares = ", ".join(f"{name} {100 * cpu / seconds:.1f} %" for name, cpu in zip(names, used, strict=True))
    return [(f"CPU of an idle `bullflow up` over {seconds:.0f} s", shares)]


def _ms(seconds: Sequence[float], percent: int) -> str:
    return f"{statistics.quantiles(seconds, n=100, method='inclusive')[percent - 1] * 1000:.1f}"


def _mib(size: int) -> str:
    return f"{size / 2**20:.0f}"
