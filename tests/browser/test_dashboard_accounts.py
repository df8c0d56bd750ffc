"""Signing in to the dashboard and out of it, and what happens to pages whose token was revoked."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Page, expect

from bullflow import AsyncClient
from bullflow.flow.access import Scope
from support.servers import SqliteServer, Valkey
from support.service import Service, running, settings_for
from support.stage import Stage, job
from support.tenants import Tenant, revoke, tenant, with_token


@pytest_asyncio.fixture
async def closed(
    sqlite: SqliteServer, valkey: Valkey, prefix: str, data_dir: Path, stage: Stage
) -> AsyncIterator[Service]:
    """A service that asks for tokens."""
    settings = settings_for(
        sqlite.new_database(), valkey.url, prefix, data_dir, auth="token", stop_timeout=1
    )  # its jobs never end
    async with running(settings, [stage.worker()]) as service:
        yield service


@pytest_asyncio.fixture
async def alice(closed: Service) -> AsyncIterator[Tenant]:
    async with tenant(closed, "alice") as made:
        yield made


async def sign_in(page: Page, token: str) -> None:
    await page.get_by_placeholder("bf_…").fill(token)
    await page.get_by_role("button", name="Sign in").click()


async def test_one_signs_in_with_a_token_sees_ones_own_and_signs_out(
    page: Page, closed: Service, alice: Tenant
) -> None:
    async with tenant(closed, "bob") as bob, AsyncClient(closed.url, token=bob.token) as client:
        theirs = await client.create(job("value", "theirs"))
    mine = await alice.create(job("hold", "mine"))
    await page.goto(f"{closed.url}/ui/flows")
    await expect(page.get_by_role("heading", level=1)).to_have_text("Sign in to bullflow")
    assert (await Axe().run(page)).violations_count == 0

    await sign_in(page, "bf_wrong")
    await expect(page.get_by_role("alert")).to_contain_text("no token")
    await sign_in(page, alice.token)

    await expect(page.get_by_role("main").get_by_text("hold").first).to_be_visible()
    await expect(page.get_by_role("banner").get_by_text("alice")).to_be_visible()
    await page.goto(f"{closed.url}/ui/flows/{mine['id']}")
    await expect(page.get_by_text("active").first).to_be_visible()
    await page.goto(f"{closed.url}/ui/flows/{theirs.id}")
    await expect(page.get_by_role("main")).to_contain_text("There is no")
    kept = str(await page.evaluate("JSON.stringify([document.cookie, {...localStorage}, {...sessionStorage}])"))
    assert not any(secret in kept for secret in ("bf_", "bs_", "bullflow_session"))

    await page.get_by_role("button", name="Sign out").click()
    await expect(page.get_by_role("button", name="Sign in")).to_be_visible()
    await page.reload()
    await expect(page.get_by_role("button", name="Sign in")).to_be_visible()


async def test_what_a_token_may_not_do_is_not_offered(page: Page, closed: Service, alice: Tenant) -> None:
    flow = await alice.create(job("hold", "mine"))
    async with with_token(closed, "alice", scopes=frozenset({Scope.READ})) as reader:
        await page.goto(f"{closed.url}/ui/flows/{flow['id']}")
        await sign_in(page, reader.token)

    await expect(page.get_by_role("banner").get_by_text("read only")).to_be_visible()
    await expect(page.get_by_text("active").first).to_be_visible()
    for name in ("Cancel", "Clone"):
        await expect(page.get_by_role("button", name=name)).to_have_count(0)
    await expect(page.get_by_role("link", name="New flow")).to_have_count(0)
    await page.goto(f"{closed.url}/ui/flows")
    await expect(page.get_by_role("link", name="hold").first).to_be_visible()
    await expect(page.get_by_role("link", name="New flow")).to_have_count(0)
    await page.goto(f"{closed.url}/ui/flows/new")
    await expect(page.get_by_role("main")).to_contain_text("Your token may read, and not create flows")
    await page.goto(f"{closed.url}/ui/queues/stage")
    await expect(page.get_by_role("region", name="Limits")).to_contain_text("none")
    for name in ("Pause", "Set limits"):
        await expect(page.get_by_role("button", name=name)).to_have_count(0)


async def test_all_open_pages_ask_to_sign_in_soon_after_the_token_was_revoked(
    page: Page, closed: Service, alice: Tenant
) -> None:
    flow = await alice.create(job("hold", "mine"))
    await page.goto(f"{closed.url}/ui/flows/{flow['id']}")
    await sign_in(page, alice.token)
    await expect(page.get_by_text("active").first).to_be_visible()
    pages = [page, *[await opened(page, f"{closed.url}/ui/{path}") for path in ("flows", "flows/new", "queues/stage")]]

    await revoke(closed.settings, alice.token_id)

    for each in pages:
        await expect(each.get_by_role("button", name="Sign in")).to_be_visible()


async def test_other_pages_ask_to_sign_in_after_a_sign_out(page: Page, closed: Service, alice: Tenant) -> None:
    await page.goto(f"{closed.url}/ui/flows")
    await sign_in(page, alice.token)
    await expect(page.get_by_text("No flow yet")).to_be_visible()
    others = [await opened(page, f"{closed.url}/ui/{path}") for path in ("flows", "flows/new", "health")]

    await page.get_by_role("button", name="Sign out").click()

    for each in others:
        await expect(each.get_by_role("button", name="Sign in")).to_be_visible()


async def opened(beside: Page, url: str) -> Page:
    """One more page of the same browser, which is signed in."""
    page = await beside.context.new_page()
    await page.goto(url)
    await expect(page.get_by_role("button", name="Sign out")).to_be_visible()
    return page
