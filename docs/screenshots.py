"""Takes the screenshots of the dashboard from real runs: `make pictures`. It needs a Chromium.

A shop's nightly orders on a service of its own, as they stand in the middle: some done, one running, one failed.
"""

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Literal

from playwright.async_api import Browser, Page, async_playwright, expect

from bullflow import AsyncClient, Job, Worker, serve
from bullflow.settings import load

HERE = Path(__file__).parent
SIZE = (1280, 1000)
QUEUE = "orders"
Colours = Literal["light", "dark"]
BOTH: tuple[Colours, ...] = ("light", "dark")
WORKS_FOR = {"read orders": 0.4, "price list": 0.9, "invoice": 1.2, "label": 0.5, "mail": 0.7, "close day": 0.3}
FAILING = "B-1044"

worker = Worker(QUEUE, concurrency=4)


async def _work(job: Job) -> Any:
    for percent in range(0, 100, 20):
        await job.progress(percent)
        await asyncio.sleep(WORKS_FOR[job.name] * job.data.get("slow", 1) / 5)
    if job.name == "invoice" and job.data.get("order") == FAILING:
        raise ValueError(f"order {FAILING}: the address has no country")
    await job.log(f"{job.name}: done")
    return {"orders": 3} if job.name == "close day" else {"ok": True}


for _name in WORKS_FOR:
    worker.task(_name)(_work)


def day(*orders: str, slow: float = 1) -> dict[str, Any]:
    """The flow of one day: each order is mailed when its label and its invoice are there."""

    def job(name: str, *children: dict[str, Any], **opts: Any) -> dict[str, Any]:
        return {"name": name, "queueName": QUEUE, "data": {"slow": slow}, "opts": opts, "children": list(children)}

    def mail(order: str) -> dict[str, Any]:
        invoice = job("invoice", job("price list"), attempts=2, backoff=400)
        mailed = job("mail", job("label"), invoice)
        for part in (mailed, *mailed["children"]):
            part["data"] = {"slow": slow, "order": order}
        return mailed

    return {**job("close day", job("read orders"), *map(mail, orders)), "tags": ["nightly"]}


@asynccontextmanager
async def _service(folder: Path) -> AsyncIterator[AsyncClient]:
    stop, ready = asyncio.Event(), asyncio.get_running_loop().create_future()
    settings = load(data_dir=folder / "data", host="127.0.0.1", port=0, log_level="warning")
    running = asyncio.create_task(serve.up(settings, [worker], ready.set_result, stop=stop))
    try:
        async with AsyncClient(await ready) as client:
            yield client
    finally:
        stop.set()
        await running


async def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        async with _service(Path(folder)) as client, async_playwright() as playwright:
            browser = await playwright.chromium.launch(
                executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu"]
            )
            done = [await client.create(day("B-1041", "B-1042")) for _ in range(3)]
            failed = await client.create(day("B-1043", FAILING))
            for flow in (*done, failed):
                await client.wait(flow.id)
            for colours in BOTH:
                await _shots(browser, client, colours, failed.id)
            await browser.close()


async def _shots(browser: Browser, client: AsyncClient, colours: Colours, failed: str) -> None:
    context = await browser.new_context(
        viewport={"width": SIZE[0], "height": SIZE[1]}, color_scheme=colours, reduced_motion="reduce"
    )
    page = await context.new_page()
    ui = f"{client.url}/ui/flows"
    await _shot(page, f"{ui}/{failed}", f"failed-{colours}", wait_for="It has failed")
    await _shot(page, f"{ui}/{failed}?tab=timeline", f"timeline-{colours}", wait_for="Critical path:")
    running = await client.create(day("B-1045", "B-1046", slow=4))
    await _shot(page, f"{ui}/{running.id}", f"running-{colours}", wait_for="mail")
    await _shot(page, ui, f"flows-{colours}", wait_for="close day")
    await client.cancel(running.id)
    await context.close()


async def _shot(page: Page, url: str, name: str, *, wait_for: str) -> None:
    await page.goto(url)
    await expect(page.get_by_text(wait_for).first).to_be_visible()
    await page.wait_for_timeout(2_500)  # the graph finds its place, and the running flow gets on
    await page.screenshot(path=HERE / f"dashboard-{name}.png")


if __name__ == "__main__":
    asyncio.run(main())
