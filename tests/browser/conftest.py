"""The dashboard in a real browser, over a real service with real workers.

These tests need a Chromium. Where there is none they are left out, and the summary says so; with
`BULLFLOW_TEST_BROWSER` set to its name or path they are never left out.
"""

import os
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser, ConsoleMessage, Page, ViewportSize, async_playwright, expect

from support.servers import SqliteServer, Valkey
from support.service import Service, running, settings_for
from support.stage import Stage

NAMES = ("chromium", "chromium-browser", "google-chrome")
ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
WIDE: ViewportSize = {"width": 1280, "height": 900}

expect.set_options(timeout=20_000)


def _chromium() -> str | None:
    asked = os.environ.get("BULLFLOW_TEST_BROWSER")
    if asked is None:
        return next((found for name in NAMES if (found := shutil.which(name))), None)
    found = shutil.which(asked)
    if found is None:
        raise pytest.UsageError(f"there is no browser {asked!r}, which BULLFLOW_TEST_BROWSER names")
    return found


CHROMIUM = _chromium()
collect_ignore_glob = [] if CHROMIUM else ["test_*.py"]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if CHROMIUM is None:
        terminalreporter.write_line("No Chromium was found: the tests of the dashboard were left out.")


@pytest_asyncio.fixture
async def browser() -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        await browser.close()


@pytest_asyncio.fixture
async def page(browser: Browser) -> AsyncIterator[Page]:
    """A page in which nothing may go wrong that nobody has asked for: no exception, no violated policy."""
    context = await browser.new_context(viewport=WIDE)
    page = await context.new_page()
    wrong: list[str] = []
    page.on("pageerror", lambda error: wrong.append(f"raised: {error}"))
    page.on("console", lambda message: wrong.extend(_wrong(message)))
    yield page
    found = list(wrong)  # what the end itself cuts off in the middle is no fault of the page
    await context.close()
    assert found == []


def _wrong(message: ConsoleMessage) -> list[str]:
    # That an answer was an error the browser says by itself; what the page makes of it, each test sees.
    is_answer = message.text.startswith("Failed to load resource") or "WebSocket connection to" in message.text
    return [f"{message.type}: {message.text}"] if message.type in ("error", "warning") and not is_answer else []


@pytest.fixture
def stage() -> Stage:
    return Stage()


@pytest_asyncio.fixture
async def site(
    sqlite: SqliteServer, valkey: Valkey, prefix: str, data_dir: Path, stage: Stage
) -> AsyncIterator[Service]:
    """A service whose worker does what the stage says."""
    settings = settings_for(sqlite.new_database(), valkey.url, prefix, data_dir)
    async with running(settings, [stage.worker()]) as service:
        yield service
