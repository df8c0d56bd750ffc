"""Every page for those who do not see it, or not well: axe finds nothing, in both colours and on a phone."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Literal

import pytest
import pytest_asyncio
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Browser, Page, ViewportSize, expect

from support.service import Service
from support.stage import Stage, job

WIDE: ViewportSize = {"width": 1280, "height": 900}
View = tuple[ViewportSize, Literal["light", "dark"]]
VIEWS: dict[str, View] = {
    "wide-light": (WIDE, "light"),
    "wide-dark": (WIDE, "dark"),
    "phone": ({"width": 390, "height": 844}, "light"),
}


@dataclass(frozen=True, kw_only=True)
class World:
    """A service with a flow that has failed, and one that runs while something of it waits."""

    site: Service
    failed: str
    running: str

    def paths(self, *, rare: bool) -> list[str]:
        """With the `rare` ones all that differ in what is on them; without, those that differ in how it looks."""
        often = ["flows", "flows/new", f"flows/{self.running}", f"flows/{self.failed}?tab=timeline", "queues/stage"]
        if not rare:
            return often
        return [
            *often,
            "flows?status=cancelled",
            f"flows/{self.failed}?tab=log",
            f"flows/{self.failed}?job={self.failed}",
            "queues",
            "health",
            "nothing/here",
        ]


@pytest_asyncio.fixture
async def world(site: Service, stage: Stage) -> AsyncIterator[World]:
    stage.broken.add("b")
    failed = await site.run(job("sum", "a", job("value", "b", attempts=2), job("value", "c")))
    running = await site.create(
        job("sum", "d", job("hold", "e"), job("value", "f", delay=600_000), job("value", "g", queue="elsewhere"))
    )
    await stage.started("e")
    yield World(site=site, failed=failed.id, running=running.id)
    stage.release("e")


@pytest.mark.parametrize("view", VIEWS)
async def test_axe_finds_nothing_on_any_page(browser: Browser, world: World, view: str) -> None:
    size, colours = VIEWS[view]
    context = await browser.new_context(viewport=size, color_scheme=colours, reduced_motion="reduce")
    page = await context.new_page()
    found = {
        path: await _violations(page, f"{world.site.url}/ui/{path}") for path in world.paths(rare=view == "wide-light")
    }

    bad = [f"{path}: {violation}" for path, violations in found.items() for violation in violations]
    assert bad == []


async def _violations(page: Page, url: str) -> list[str]:
    await page.goto(url)
    await expect(page.get_by_role("heading", level=1)).to_be_visible()
    await expect(page.get_by_role("status").and_(page.get_by_label("Loading"))).to_have_count(0)
    await expect(page.get_by_text("Loading", exact=True)).to_have_count(0)
    results = await Axe().run(page)
    return [
        f"{violation['id']}: {violation['help']}: {[node['html'][:200] for node in violation['nodes']]}"
        for violation in results.response["violations"]
    ]
