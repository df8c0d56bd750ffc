"""The dashboard in a Chromium beside the service: how soon a page is there, how smoothly it runs, what it weighs."""

import asyncio
import shutil
import statistics
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import pairwise

from playwright.async_api import CDPSession, Page, async_playwright, expect

from bench.driving import percentile
from bench.measure import Row
from bench.noop import NOBODYS, flow
from bench.service import Running
from bullflow import AsyncClient

ARGUMENTS = ("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update")
PAGES = {"flows": "/ui/flows", "new flow": "/ui/flows/new", "queues": "/ui/queues", "health": "/ui/health"}
LARGE = 10_000
UPDATES_A_SECOND = 60
UPDATED_FOR = 120
"""Seconds."""
WATCHED_FOR = 10
ROUNDS = 5
STARTS_WITHIN = 2
"""Seconds that a browser is busy with itself after it was started."""
FRAME = 1000 / 60
"""Milliseconds."""

_FRAMES = """(seconds) => new Promise((resolve) => {
  const times = [];
  const end = performance.now() + seconds * 1000;
  const note = (now) => { times.push(now); now < end ? requestAnimationFrame(note) : resolve(times); };
  requestAnimationFrame(note);
})"""

_SEEN = """
  new MutationObserver(() => {
    if (window.seenAfter === undefined && document.querySelector('main')?.textContent.includes('%s')) {
      requestAnimationFrame(() => { window.seenAfter ??= performance.now(); });
    }
  }).observe(document, { subtree: true, childList: true, characterData: true });
"""
"""Noted in the page itself: a driver that asks whether something is there finds out up to half a second later."""


async def dashboard(running: Running) -> list[Row]:
    """Rows about pages, a flow of 10,000 jobs, and a flow that changes 60 times a second."""
    async with AsyncClient(running.url, timeout=60) as client:
        first = await client.create(flow())
        large = await client.create(flow(LARGE - 1, queue=NOBODYS))
        await client.wait(first.id)
        rows = [await _weight(running.url + path, name) for name, path in PAGES.items()]
        rows.append(await _weight(f"{running.url}/ui/flows/{first.id}", "a flow"))
        rows.append(await _opened("first page until flows are seen", f"{running.url}/ui/flows", "parent"))
        rows.append(await _opened(f"flow of {LARGE:,} jobs until its graph is seen", _of(running, large.id), "child"))
        return rows + await _updates(running, client)


def _of(running: Running, flow_id: str) -> str:
    return f"{running.url}/ui/flows/{flow_id}"


@asynccontextmanager
async def new_page() -> AsyncIterator[Page]:
    """A page of a browser of its own, which has started and has nothing in its cache."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=shutil.which("chromium"), args=ARGUMENTS)
        page = await browser.new_page(viewport={"width": 1280, "height": 900})
        await page.goto("data:text/html,<h1>started</h1>")
        await asyncio.sleep(STARTS_WITHIN)
        yield page
        await browser.close()


async def _weight(url: str, name: str) -> Row:
    """What came over the line for files of the dashboard."""
    async with new_page() as page:
        session = await page.context.new_cdp_session(page)
        sizes: dict[str, float] = {}
        ours: set[str] = set()
        session.on("Network.responseReceived", lambda event: _note(ours, event))
        session.on(
            "Network.loadingFinished", lambda event: sizes.update({event["requestId"]: event["encodedDataLength"]})
        )
        await session.send("Network.enable")
        await page.goto(url)
        await expect(page.get_by_role("heading", level=1)).to_be_visible()
        await page.wait_for_load_state("networkidle")
    return f"files of the page: {name}", f"{sum(sizes.get(key, 0) for key in ours) / 1024:.0f} KiB"


def _note(ours: set[str], event: dict[str, dict[str, str]]) -> None:
    if "/ui/" in event["response"]["url"]:
        ours.add(str(event["requestId"]))


async def _opened(title: str, url: str, text: str) -> Row:
    times = []
    for _ in range(ROUNDS):
        async with new_page() as page:
            await page.add_init_script(_SEEN % text)
            await page.goto(url, wait_until="commit")
            await page.get_by_role("main").get_by_text(text, exact=True).first.wait_for()
            times.append(float(await page.evaluate("window.seenAfter")))
    return title, f"{statistics.median(times):.0f} ms ({min(times):.0f} to {max(times):.0f})"


async def _updates(running: Running, client: AsyncClient) -> list[Row]:
    """Each child becomes active and completes, two updates, when its delay is over."""
    children = UPDATES_A_SECOND * UPDATED_FOR // 2
    request = flow(children)
    for number, child in enumerate(request["children"]):
        child["opts"] = {"delay": 5_000 + number * 2_000 // UPDATES_A_SECOND}
    created = await client.create(request)
    async with new_page() as page:
        await page.goto(_of(running, created.id))
        await page.get_by_role("main").get_by_text("active").first.wait_for()
        session = await page.context.new_cdp_session(page)
        await session.send("HeapProfiler.enable")
        before = await heap(session)
        start, seen = time.perf_counter(), (await client.get(created.id)).last_seq
        times = await page.evaluate(_FRAMES, WATCHED_FOR)
        rate = ((await client.get(created.id)).last_seq - seen) / (time.perf_counter() - start)
        await client.wait(created.id, timeout=UPDATED_FOR * 3)
        await asyncio.sleep(2)
        after = await heap(session)
    gaps = [later - earlier for earlier, later in pairwise(times)]
    late = sum(gap > 1.5 * FRAME for gap in gaps) / len(gaps)
    return [
        (
            f"frames while {rate:.0f} updates/s are shown",
            f"p50 {statistics.median(gaps):.1f} ms, p95 {percentile(gaps, 95):.1f} ms, {late:.1%} late",
        ),
        (f"heap before and after {children * 2:,} updates", f"{before:.1f} and {after:.1f} MiB"),
    ]


async def heap(session: CDPSession) -> float:
    """MiB in use when all garbage is gone."""
    await session.send("HeapProfiler.collectGarbage")
    return float((await session.send("Runtime.getHeapUsage"))["usedSize"]) / 2**20
