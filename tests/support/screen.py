"""What a test sees of the dashboard: states as the page has shown them, one after the other."""

from playwright.async_api import Locator, Page

# The badge is the first status of a page's own part. What is loading is a status too, and has no such word.
_RECORDER = """
  window.shownStates = [];
  const words = ["waiting", "active", "completed", "failed", "cancelled"];
  new MutationObserver(() => {
    const shown = document.querySelector("main [role=status]")?.textContent;
    if (words.includes(shown) && window.shownStates.at(-1) !== shown) window.shownStates.push(shown);
  }).observe(document, { subtree: true, childList: true, characterData: true });
"""


def badge(page: Page) -> Locator:
    """Where a flow's page says how it stands."""
    return page.get_by_role("main").get_by_role("status").first


def graph(page: Page) -> Locator:
    return page.get_by_label("The flow's jobs as a graph")


def panel(page: Page, name: str) -> Locator:
    """What the page tells of one job."""
    return page.get_by_role("complementary", name=f"Job {name}", exact=True)


async def record_states(page: Page) -> None:
    """From now on every state that the badge shows is kept, also those that no test would be quick enough to see.

    A page that is loaded anew begins anew.
    """
    await page.add_init_script(_RECORDER)


async def shown_states(page: Page) -> list[str]:
    """What the badge has shown since the page was loaded."""
    states: list[str] = await page.evaluate("window.shownStates")
    return states
