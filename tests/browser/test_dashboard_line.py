"""What the page shows when the line is lost, the flow is large, or the texts are hostile."""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import pytest_asyncio
from playwright.async_api import Dialog, Page, Route, ViewportSize, expect

from bullflow import AsyncClient, Job
from support.eventually import eventually
from support.lines import line
from support.screen import badge, graph, panel, record_states, shown_states
from support.servers import SqliteServer, Valkey
from support.service import Service, running, settings_for
from support.stage import Stage, job

JOBS = 10_000
LONG = "W" * 2_000
HOSTILE = (
    "<img src=x onerror=alert(1)></script><script>alert(2)</script>"
    "\u202e\u2067\u05e9\u05dc\u05d5\u05dd \"'`${7*7}{{7*7}}%s"
)
NAME = (HOSTILE + LONG)[:200]
TAGS = [HOSTILE[:64], LONG[:64]]
QUEUE_NAME = ("<img src=x onerror=alert(1)></script>%2F \u202e\u05e9\u05dc\u05d5\u05dd" + LONG)[:128]
NARROW: ViewportSize = {"width": 390, "height": 844}
WIDE: ViewportSize = {"width": 1280, "height": 900}


async def test_a_flow_that_goes_on_while_the_line_is_lost_is_shown_as_it_is_after_that_and_never_as_it_was(
    page: Page, site: Service, stage: Stage
) -> None:
    flow = await site.create(job("sum", "root", job("value", "three", value=3), job("hold", "one"), job("hold", "two")))
    await stage.started("one")
    await stage.started("two")
    await record_states(page)
    async with line(site.url) as cable:
        await page.goto(f"{cable.url}/ui/flows/{flow.id}")
        await expect(badge(page)).to_have_text("active")
        await expect(page.get_by_role("progressbar", name="2 of 4 active")).to_be_visible()
        lost = page.get_by_role("alert").filter(has_text="Connection lost")
        await expect(lost).to_be_hidden()

        await cable.cut()
        await expect(lost).to_be_visible()
        stage.release("one")
        stage.release("two")
        assert (await site.client.wait(flow.id, timeout=20)).status == "completed"
        await expect(badge(page)).to_have_text("active")
        cable.heal()

        await expect(badge(page)).to_have_text("completed")
        await expect(page.get_by_role("region", name="the result")).to_have_text("3")
        await expect(page.get_by_role("progressbar", name="4 of 4 completed")).to_be_visible()
        await expect(lost).to_be_hidden()
        assert await shown_states(page) == ["active", "completed"]
        await page.get_by_role("tab", name="Log").click()
        ended = await site.client.get(flow.id)
        await expect(page.get_by_text(f"{ended.last_seq} entries", exact=True)).to_be_visible()


async def test_the_list_makes_good_what_it_has_missed(page: Page, site: Service, stage: Stage) -> None:
    await site.create(job("hold", "held"))
    await stage.started("held")
    flows = page.get_by_role("table", name="Flows")
    async with line(site.url) as cable:
        await page.goto(f"{cable.url}/ui/flows")
        await expect(flows.get_by_role("row", name="hold")).to_contain_text("active")

        await cable.cut()
        await expect(page.get_by_role("alert").filter(has_text="Connection lost")).to_be_visible()
        stage.release("held")
        await site.run(job("value", "new"))
        cable.heal()

        await expect(flows.get_by_role("link")).to_have_text(["value", "hold"])
        await expect(flows.get_by_role("row", name="hold")).to_contain_text("completed")


async def test_a_flow_whose_creation_was_lost_says_so_in_sight_and_is_made_once_by_pressing_again(
    page: Page, site: Service
) -> None:
    create = page.get_by_role("button", name="Create flow")
    await page.goto(f"{site.url}/ui/flows/new")
    await expect(page.get_by_role("status").filter(has_text="Ready")).to_be_visible()
    await page.route("**/flows", lost_on_the_way_back)
    await create.click()

    await expect(page.get_by_role("alert").filter(has_text="it will not be made twice")).to_be_in_viewport(ratio=1)
    await expect(page.get_by_text("Ready")).to_be_hidden()
    await page.unroute("**/flows")
    await create.click()

    await expect(page.get_by_role("heading", level=1)).not_to_have_text("New flow")
    assert len((await site.http.get("/flows")).json()["items"]) == 1


async def lost_on_the_way_back(route: Route) -> None:
    """What is sent arrives, and its answer does not."""
    if route.request.method == "POST":
        await route.fetch()
        await route.abort()
    else:
        await route.fallback()


async def test_a_flow_of_10000_jobs_opens_and_each_of_them_is_found(page: Page, site: Service) -> None:
    parts = [{"name": f"part-{number}", "queueName": "nobodys"} for number in range(JOBS - 1)]
    flow = await site.create({"name": "whole", "queueName": "nobodys", "children": parts})

    await page.goto(f"{site.url}/ui/flows/{flow.id}")

    await expect(page.get_by_role("heading", level=1)).to_have_text("whole")
    await expect(page.get_by_text("9,999 waiting")).to_be_visible()
    await expect(graph(page).get_by_text("whole")).to_be_visible()
    search = page.get_by_role("textbox", name="Find jobs")
    await search.fill("part-7777")
    await expect(page.get_by_role("status", name="1 matches")).to_be_visible()
    await search.press("Enter")
    await expect(graph(page).get_by_text("part-7777", exact=True)).to_be_in_viewport()
    await page.get_by_role("radiogroup", name="Shown as").get_by_text("List").click()
    tree = page.get_by_role("tree", name="The flow's jobs")
    await search.fill("part-9998")
    await search.press("Enter")
    await tree.get_by_text("part-9998", exact=True).click()
    await expect(panel(page, "part-9998")).to_be_visible()


@dataclass(frozen=True, kw_only=True)
class Hostile:
    """A service with flows whose texts try to be more than texts."""

    url: str
    client: AsyncClient
    completed: str
    failed: str
    waiting: str


@pytest_asyncio.fixture
async def hostile(
    page: Page,
    sqlite: SqliteServer,
    valkey: Valkey,
    prefix: str,
    data_dir: Path,
    stage: Stage,
) -> AsyncIterator[Hostile]:
    dialogs: list[str] = []

    async def opened(dialog: Dialog) -> None:
        dialogs.append(dialog.message)
        await dialog.dismiss()

    page.on("dialog", opened)
    worker = stage.worker()

    @worker.task(NAME)
    async def echo(job: Job) -> dict[str, str]:
        return {HOSTILE: HOSTILE, "long": LONG}

    stage.broken.add(HOSTILE + LONG)
    async with running(settings_for(sqlite.new_database(), valkey.url, prefix, data_dir), [worker]) as service:
        completed = await service.run({**job(NAME, HOSTILE + LONG, value=HOSTILE), "tags": TAGS})
        failed = await service.run(job("sum", "root", job(NAME, "a child"), job("value", HOSTILE + LONG)))
        waiting = await service.create(job("nobodys", "waits", queue=QUEUE_NAME))
        yield Hostile(
            url=f"{service.url}/ui",
            client=service.client,
            completed=completed.id,
            failed=failed.id,
            waiting=waiting.id,
        )
    assert dialogs == []


async def test_hostile_texts_are_texts_in_the_list(page: Page, hostile: Hostile) -> None:
    for address in ("flows", f"flows?name={quote(NAME)}&tag={quote(TAGS[0])}"):
        await page.goto(f"{hostile.url}/{address}")
        await expect(page.get_by_role("link", name=NAME)).to_have_text(NAME)
        await stays_in_the_window(page)


async def test_hostile_texts_are_texts_where_a_flow_has_completed(page: Page, hostile: Hostile) -> None:
    await page.goto(f"{hostile.url}/flows/{hostile.completed}")

    await expect(page.get_by_role("heading", level=1)).to_have_text(NAME)
    await stays_in_the_window(page)
    await page.get_by_role("button", name="Result").click()
    shown = page.get_by_role("region", name="the result")
    assert json.loads(await shown.inner_text()) == {HOSTILE: HOSTILE, "long": LONG}
    await stays_in_the_window(page)
    await page.get_by_role("button", name="Delete").click()
    await expect(page.get_by_role("dialog", name="Delete this flow?")).to_contain_text(NAME)
    await stays_in_the_window(page)


async def test_hostile_texts_are_texts_where_a_flow_has_failed(page: Page, hostile: Hostile) -> None:
    await page.goto(f"{hostile.url}/flows/{hostile.failed}")

    await expect(page.get_by_role("alert").filter(has_text="It has failed")).to_contain_text(HOSTILE)
    await stays_in_the_window(page)
    for tab in ("Graph", "Timeline", "Log"):
        await page.get_by_role("tab", name=tab).click()
        await expect(page.get_by_role("tabpanel", name=tab)).to_contain_text(NAME[:60])
        await stays_in_the_window(page)
    await page.get_by_role("button", name="Retry").click()
    await expect(page.get_by_role("dialog", name="Retry this flow?").get_by_text(NAME)).to_be_visible()
    await stays_in_the_window(page)
    await page.get_by_role("button", name="Leave it").click()
    await page.get_by_role("button", name="Clone").click()
    await expect(page.get_by_role("textbox", name="Request as JSON")).to_contain_text("</script>")
    await stays_in_the_window(page)


async def test_hostile_texts_are_texts_in_the_panel_of_a_job(page: Page, hostile: Hostile) -> None:
    for found in (await hostile.client.jobs(hostile.failed)).items:
        await page.goto(f"{hostile.url}/flows/{hostile.failed}?job={found.id}")

        data = page.get_by_role("region", name="data", exact=True)
        await expect(data).to_be_visible()
        assert json.loads(await data.inner_text()) == found.data
        await stays_in_the_window(page)
        if found.name == "value":
            failure = page.get_by_role("alert").filter(has_text="Failed, attempt 1")
            await expect(failure).to_contain_text(HOSTILE + LONG)


async def test_hostile_texts_are_texts_where_a_flow_waits_in_a_queue(page: Page, hostile: Hostile) -> None:
    await page.goto(f"{hostile.url}/flows/{hostile.waiting}")

    await expect(page.get_by_role("link", name=QUEUE_NAME).first).to_be_visible()
    await expect(page.get_by_text("No worker runs for the queue")).to_be_visible()
    await stays_in_the_window(page)
    await page.get_by_role("link", name=QUEUE_NAME).first.click()
    await expect(page.get_by_role("heading", level=1)).to_have_text(QUEUE_NAME)
    await stays_in_the_window(page)
    await page.goto(f"{hostile.url}/queues")
    await expect(page.get_by_role("link", name=QUEUE_NAME)).to_be_visible()
    await stays_in_the_window(page)


async def stays_in_the_window(page: Page) -> None:
    """Nothing makes the page scroll sideways, also on a phone, and nothing has become an element that was a text."""

    async def fits() -> bool:
        fits: bool = await page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
        return fits

    for size in (NARROW, WIDE):
        await page.set_viewport_size(size)
        await eventually(fits)
    await expect(page.locator("img[onerror]")).to_have_count(0)
