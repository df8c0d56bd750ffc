"""The list of flows: it is live, its filters and places are addresses, and it stands still for whoever reads it."""

from playwright.async_api import Locator, Page, expect

from support.eventually import eventually
from support.screen import panel
from support.service import Service
from support.stage import Stage, job

NOBODYS = "nobodys"
"""A queue without a worker: its flows wait."""


def table(page: Page) -> Locator:
    return page.get_by_role("table", name="Flows")


def line_of(page: Page, name: str) -> Locator:
    return table(page).get_by_role("row").filter(has=page.get_by_role("link", name=name, exact=True))


async def create_waiting(service: Service, *numbers: int) -> None:
    """Flows that nobody works on, in this order."""
    flows = [{"name": f"flow-{number:03}", "queueName": NOBODYS} for number in numbers]
    answer = await service.http.post("/flows/bulk", json={"flows": flows})
    assert answer.status_code == 201, answer.text


async def test_a_new_flow_comes_into_the_list_by_itself_and_its_state_changes_there(
    page: Page, site: Service, stage: Stage
) -> None:
    await page.goto(f"{site.url}/ui/flows")
    await expect(page.get_by_role("heading", name="No flow yet")).to_be_visible()

    await site.create(job("sum", "root", job("hold", "held")))

    await expect(line_of(page, "sum")).to_contain_text("active")
    await expect(line_of(page, "sum").get_by_role("progressbar", name="1 of 2 active")).to_have_count(1)
    stage.release("held")
    await expect(line_of(page, "sum")).to_contain_text("completed")
    await expect(line_of(page, "sum").get_by_role("progressbar", name="2 of 2 completed")).to_be_visible()


async def test_filters_stand_in_the_address_and_survive_a_reload(page: Page, site: Service, stage: Stage) -> None:
    stage.broken.add("bad")
    failed = await site.run(job("value", "bad"))
    await site.run(job("value", "good"))
    await site.run(job("sum", "bad"))
    await page.goto(f"{site.url}/ui/flows")
    await expect(table(page).get_by_role("link")).to_have_text(["sum", "value", "value"])
    filters = page.get_by_role("search", name="Filters")

    await filters.get_by_role("combobox", name="Status").click()
    await page.get_by_role("option", name="failed").click()
    await expect(table(page).get_by_role("link")).to_have_text(["sum", "value"])
    await filters.get_by_role("textbox", name="Name").fill("value")
    await expect(table(page).get_by_role("link")).to_have_text(["value"])

    assert page.url == f"{site.url}/ui/flows?status=failed&name=value"
    await page.reload()
    await expect(table(page).get_by_role("link")).to_have_text(["value"])
    await expect(table(page).get_by_role("link")).to_have_attribute("href", f"/ui/flows/{failed.id}")
    await expect(filters.get_by_role("combobox", name="Status")).to_have_value("failed")
    await expect(filters.get_by_role("textbox", name="Name")).to_have_value("value")
    await filters.get_by_role("button", name="Reset").click()
    await expect(table(page).get_by_role("link")).to_have_count(3)
    await expect(page).to_have_url(f"{site.url}/ui/flows")


async def test_a_filtered_list_is_live_too(page: Page, site: Service, stage: Stage) -> None:
    await page.goto(f"{site.url}/ui/flows?status=active")
    await expect(page.get_by_text("No flow matches these filters")).to_be_visible()

    await site.create(job("hold", "held"))
    await expect(table(page).get_by_role("link")).to_have_text(["hold"])
    stage.release("held")

    await expect(page.get_by_text("No flow matches these filters")).to_be_visible()


async def test_a_deep_link_opens_just_that_view_and_that_job(page: Page, site: Service) -> None:
    flow = await site.run(job("sum", "root", job("value", "first", value=7)))
    first = next(found for found in (await site.client.jobs(flow.id)).items if found.name == "value")

    await page.goto(f"{site.url}/ui/flows/{flow.id}?tab=log&job={first.id}")

    await expect(page.get_by_role("tab", name="Log")).to_have_attribute("aria-selected", "true")
    await expect(page.get_by_role("list", name="Entries of the log").get_by_role("listitem")).to_have_count(
        flow.last_seq
    )
    await expect(page.get_by_role("complementary")).to_have_count(1)
    await expect(panel(page, "value").get_by_role("region", name="result", exact=True)).to_have_text("7")
    await panel(page, "value").get_by_role("button", name="Close the job").click()
    await expect(page).to_have_url(f"{site.url}/ui/flows/{flow.id}?tab=log")
    await page.go_back()
    await expect(panel(page, "value")).to_be_visible()


async def test_the_place_is_kept_while_new_flows_come_and_no_page_has_a_gap_or_a_repeat(
    page: Page, site: Service
) -> None:
    await create_waiting(site, *range(120))
    await page.goto(f"{site.url}/ui/flows")
    await line_of(page, "flow-085").scroll_into_view_if_needed()
    # The second page is read ahead, and the third is not.
    await expect(table(page)).to_have_attribute("aria-rowcount", str(1 + 100))
    before = await line_of(page, "flow-085").bounding_box()

    await create_waiting(site, 120, 121)
    await expect(page.get_by_role("button", name="2 new flows")).to_be_visible()
    await create_waiting(site, 122)
    pill = page.get_by_role("button", name="3 new flows")
    await expect(pill).to_be_visible()

    assert await line_of(page, "flow-085").bounding_box() == before
    listed = await all_lines(page, "These are all 120")
    assert listed == {place + 2: f"flow-{119 - place:03}" for place in range(120)}
    await pill.click()
    await expect(line_of(page, "flow-122")).to_be_in_viewport()
    await expect(pill).to_be_hidden()
    listed = await all_lines(page, "These are all 123")
    assert listed == {place + 2: f"flow-{122 - place:03}" for place in range(123)}


async def all_lines(page: Page, last_words: str) -> dict[int, str]:
    """The names of all flows by the places of their rows, also of rows that are drawn only while they are in sight."""
    found: dict[int, str] = {}

    async def has_seen_all() -> bool:
        await page.mouse.wheel(0, 400)
        found.update({int(place): name for place, name in await page.evaluate(_DRAWN)})
        return await page.get_by_text(last_words).count() == 1 and len(found) == int(last_words.split()[-1])

    await page.get_by_role("row").nth(2).hover()
    await eventually(has_seen_all)
    return found


_DRAWN = """
  () => [...document.querySelectorAll("[aria-rowindex]")]
    .filter((row) => row.querySelector("a") !== null)
    .map((row) => [row.getAttribute("aria-rowindex"), row.querySelector("a").textContent])
"""
