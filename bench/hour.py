"""What an hour of updates leaves in the memory of the dashboard's pages."""

import asyncio
import sys
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack

from playwright.async_api import CDPSession

from bench.dashboard import heap, new_page
from bench.measure import Row
from bench.noop import flow, ticking
from bench.service import Running
from bullflow import AsyncClient

JOBS = 60
"""Each reports its progress once a second."""
MINUTES = 60
LOOKED_EVERY = 5
"""Minutes."""
FLOWS_EVERY = 2
"""Seconds, in the list of flows."""
LISTED = "list of flows"


async def hour(running: Running) -> list[Row]:
    """Rows of the heap of each page, all of them open at once for an hour."""
    async with AsyncClient(running.url, timeout=60) as client, AsyncExitStack() as stack:
        ticks = await client.create(ticking(JOBS, MINUTES * 60 + 30))
        paths = {view: f"/ui/flows/{ticks.id}?tab={view}" for view in ("graph", "timeline", "log")}
        sessions = {
            name: await _opened(stack, running.url + path) for name, path in {**paths, LISTED: "/ui/flows"}.items()
        }
        made: list[str] = []
        arriving = asyncio.create_task(_arriving(client, made))
        looks = [await _look(sessions)]
        start = time.perf_counter()
        for number in range(1, MINUTES // LOOKED_EVERY + 1):
            await asyncio.sleep(start + number * LOOKED_EVERY * 60 - time.perf_counter())
            if arriving.done():
                arriving.result()
            looks.append(await _look(sessions))
            print(*(f"{name} {look:.1f} MiB;" for name, look in looks[-1].items()), file=sys.stderr, flush=True)
        arriving.cancel()
    counts = {**dict.fromkeys(paths, f"{JOBS * MINUTES * 60:,} reports"), LISTED: f"{len(made):,} new flows"}
    return [
        (f"heap of the {name} every {LOOKED_EVERY} minutes, {count} in all", _line(looks, name))
        for name, count in counts.items()
    ]


def _line(looks: Sequence[dict[str, float]], name: str) -> str:
    return ", ".join(f"{look[name]:.1f}" for look in looks) + " MiB"


async def _opened(stack: AsyncExitStack, url: str) -> CDPSession:
    """A page in a browser of its own: pages of one site may share a heap."""
    page = await stack.enter_async_context(new_page())
    await page.goto(url)
    await page.get_by_role("main").get_by_text("ticking").first.wait_for()
    session = await page.context.new_cdp_session(page)
    await session.send("HeapProfiler.enable")
    return session


async def _look(sessions: dict[str, CDPSession]) -> dict[str, float]:
    return {name: await heap(session) for name, session in sessions.items()}


async def _arriving(client: AsyncClient, made: list[str]) -> None:
    while True:
        made.append((await client.create(flow(1))).id)
        await asyncio.sleep(FLOWS_EVERY)
