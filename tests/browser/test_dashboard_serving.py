"""How the dashboard's files are served, and that every page of it is there."""

import re

import pytest
from playwright.async_api import Page, expect

from support.service import Service

PAGES = ("flows", "flows/new", "queues", "health")


async def test_the_root_leads_to_the_flows(page: Page, site: Service) -> None:
    await page.goto(site.url)

    await expect(page).to_have_url(f"{site.url}/ui/flows")
    await expect(page.get_by_role("heading", level=1)).to_have_text("Flows")


@pytest.mark.parametrize("path", PAGES)
async def test_every_page_has_a_heading_and_names_the_window(page: Page, site: Service, path: str) -> None:
    await page.goto(f"{site.url}/ui/{path}")

    heading = page.get_by_role("heading", level=1)
    await expect(heading).to_be_visible()
    await expect(page).to_have_title(f"{await heading.text_content()} · bullflow")


async def test_a_path_that_is_no_page_says_so_and_leads_back(page: Page, site: Service) -> None:
    await page.goto(f"{site.url}/ui/nothing/here")

    await page.get_by_role("main").get_by_role("link", name="here").click()
    await expect(page).to_have_url(f"{site.url}/ui/flows")


async def test_assets_are_kept_for_ever_and_pages_asked_for_anew(site: Service) -> None:
    page = await site.http.get("/ui/flows")
    script = re.search(r'src="(/ui/assets/[^"]+\.js)"', page.text)
    assert script is not None
    asset = await site.http.get(script[1])

    assert page.headers["cache-control"] == "no-cache"
    assert "immutable" in asset.headers["cache-control"]
    assert asset.headers["content-encoding"] == "gzip"
    again = await site.http.get(script[1], headers={"If-None-Match": asset.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


async def test_an_asset_of_another_version_is_not_the_page(site: Service) -> None:
    assert (await site.http.get("/ui/assets/index-old.js")).status_code == 404
    assert (await site.http.get("/ui/assets/../../../etc/passwd")).status_code == 404


async def test_scripts_come_from_the_service_alone(site: Service) -> None:
    page = await site.http.get("/ui/")

    policy = dict(part.strip().split(" ", 1) for part in page.headers["content-security-policy"].split(";"))
    assert policy["default-src"] == "'self'"
    assert "script-src" not in policy
    assert "<script>" not in page.text
    assert page.headers["x-content-type-options"] == "nosniff"


async def test_all_that_a_page_loads_at_first_is_small(site: Service) -> None:
    page = await site.http.get("/ui/")
    sizes = [
        int((await site.http.get(path)).headers["content-length"])
        for path in re.findall(r'(?:src|href)="(/ui/[^"]+)"', page.text)
    ]

    assert 0 < sum(sizes) < 400 * 1024
