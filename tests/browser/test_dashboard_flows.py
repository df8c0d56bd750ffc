"""What somebody does with one flow: creates it in the form, sees it run, reads why it failed, and acts on it."""

import json
import re
from pathlib import Path

import pytest
from playwright.async_api import Page, expect

from bullflow.errors import NotFound
from examples.video import outputs
from examples.video.handlers import worker
from support.eventually import eventually
from support.screen import badge, graph, panel, record_states, shown_states
from support.servers import SqliteServer, Valkey
from support.service import Service, running, settings_for
from support.stage import Stage, job


async def test_a_flow_is_created_in_the_form_and_seen_from_its_start_to_its_result(
    page: Page,
    sqlite: SqliteServer,
    valkey: Valkey,
    prefix: str,
    data_dir: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(outputs.OUTPUT_DIR, str(tmp_path / "video-out"))
    await record_states(page)
    async with running(settings_for(sqlite.new_database(), valkey.url, prefix, data_dir), [worker]) as service:
        await page.goto(f"{service.url}/ui/flows")
        await page.get_by_role("link", name="Create the first flow").click()
        create = page.get_by_role("button", name="Create flow")
        await page.get_by_role("textbox", name="Name").fill("")
        await expect(page.get_by_text("1 fault", exact=True)).to_be_visible()
        await expect(create).to_be_disabled()

        await page.get_by_role("button", name="Video Downloads").click()
        await expect(page.get_by_text("Ready: 4 jobs, 3 levels")).to_be_visible()
        await create.click()

        await expect(page.get_by_role("heading", level=1)).to_have_text("watermark-video")
        await expect(badge(page)).to_have_text("completed", timeout=60_000)
        assert await shown_states(page) in (["waiting", "active", "completed"], ["active", "completed"])
        await expect(page.get_by_role("group", name="Jobs: 4 completed")).to_be_visible()
        for name, made in (
            ("watermark-video", '"watermarkText": "My Watermark"'),
            ("generate-thumbnail", '"width": 480'),
        ):
            await graph(page).get_by_text(name).click()
            await expect(panel(page, name).get_by_role("region", name="result", exact=True)).to_contain_text(made)


async def test_a_failed_flow_says_why_and_a_retry_tells_its_plan_before_it_runs(
    page: Page, site: Service, stage: Stage
) -> None:
    stage.broken.add("roof")
    flow = await site.run(job("sum", "house", job("value", "floor", value=2), job("hold", "roof", value=3)))
    await page.goto(f"{site.url}/ui/flows/{flow.id}")
    await page.evaluate("window.isTheSamePage = true")

    failure = page.get_by_role("alert").filter(has_text="It has failed")
    await expect(failure).to_contain_text("roof is broken")
    await failure.get_by_role("button", name="Show the job that failed first: hold").click()
    roof = panel(page, "hold")
    await expect(roof.get_by_role("alert")).to_contain_text("roof is broken")
    await expect(roof.get_by_role("region", name="data", exact=True)).to_contain_text('"key": "roof"')
    await roof.get_by_role("button", name="Stack", exact=True).click()
    await expect(roof.get_by_role("region", name="Stack")).to_contain_text("ValueError")
    await roof.get_by_role("button", name="Close the job").click()
    await page.get_by_role("button", name="Retry").click()
    question = page.get_by_role("dialog", name="Retry this flow?")
    await expect(question.get_by_role("heading", name="Run again 2 jobs")).to_be_visible()
    await expect(question.get_by_role("heading", name="Keep their results 1 job")).to_be_visible()
    assert (await site.client.get(flow.id)).status == "failed"

    stage.broken.clear()
    await question.get_by_role("button", name="Retry").click()
    await expect(question).to_be_hidden()
    await expect(badge(page)).to_have_text("active")
    await expect(failure).to_be_hidden()
    stage.release("roof")

    await expect(badge(page)).to_have_text("completed")
    await expect(page.get_by_role("region", name="the result")).to_contain_text("2")
    assert stage.starts == {"floor": 1, "roof": 2, "house": 1}
    assert await page.evaluate("window.isTheSamePage")


async def test_cancel_asks_first_and_then_tells_the_handlers(page: Page, site: Service, stage: Stage) -> None:
    flow = await site.create(job("sum", "root", job("hold", "held")))
    await stage.started("held")
    await page.goto(f"{site.url}/ui/flows/{flow.id}")
    await expect(badge(page)).to_have_text("active")
    cancel = page.get_by_role("button", name="Cancel", exact=True)
    question = page.get_by_role("dialog", name="Cancel this flow?")

    await cancel.click()
    await question.get_by_role("button", name="Leave it").click()
    await expect(question).to_be_hidden()
    assert (await site.client.get(flow.id)).status == "active"
    await cancel.click()
    await question.get_by_role("button", name="Cancel the flow").click()

    await expect(badge(page)).to_have_text("cancelled")
    await expect(page.get_by_role("group", name="Jobs: 2 cancelled")).to_be_visible()
    await expect(cancel).to_be_hidden()

    async def is_told() -> bool:
        return "held" in stage.aborted

    await eventually(is_told)
    assert stage.aborted == {"held": "cancelled"}


async def test_clone_brings_the_request_into_the_form_and_makes_a_flow_of_its_own(page: Page, site: Service) -> None:
    request = {
        **job(
            "sum", "root", job("value", "first", value={"deep": [1, "two", None]}, attempts=3), job("value", "other")
        ),
        "tags": ["copied"],
    }
    request["children"][0]["data"]["value"] = 4
    flow = await site.run(request)
    await page.goto(f"{site.url}/ui/flows/{flow.id}")

    await page.get_by_role("button", name="Clone").click()

    editor = page.get_by_role("textbox", name="Request as JSON")
    await expect(editor).to_contain_text('"copied"')
    written = json.loads(await editor.inner_text())
    assert (written["name"], written["data"], written["tags"]) == ("sum", request["data"], ["copied"])
    children = [(child["name"], child["data"], child.get("opts", {})) for child in written["children"]]
    assert children == [(child["name"], child["data"], child["opts"]) for child in request["children"]]
    await page.get_by_role("button", name="Create flow").click()
    await expect(page).to_have_url(re.compile(r"/ui/flows/[0-9a-f-]{36}$"))
    await expect(badge(page)).to_have_text("completed")
    await expect(page.get_by_role("region", name="the result")).to_contain_text("5")
    assert not page.url.endswith(flow.id)


async def test_delete_asks_first_and_leads_back_to_the_list(page: Page, site: Service) -> None:
    kept, flow = await site.run(job("value", "kept")), await site.run(job("sum", "gone"))
    await page.goto(f"{site.url}/ui/flows/{flow.id}")
    question = page.get_by_role("dialog", name="Delete this flow?")

    await page.get_by_role("button", name="Delete").click()
    await question.get_by_role("button", name="Leave it").click()
    await expect(question).to_be_hidden()
    assert (await site.client.get(flow.id)).id == flow.id
    await page.get_by_role("button", name="Delete").click()
    await question.get_by_role("button", name="Delete for ever").click()

    await expect(page).to_have_url(f"{site.url}/ui/flows")
    flows = page.get_by_role("table", name="Flows")
    await expect(flows.get_by_role("link")).to_have_text(["value"])
    with pytest.raises(NotFound):
        await site.client.get(flow.id)
    assert (await site.client.get(kept.id)).status == "completed"
