"""`bullflow flows cancel|retry|explain|logs|delete`: what they ask for, what they print, and with which exit code."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from starlette.responses import JSONResponse, Response

from support.commands import Bullflow
from support.small_service import AT, SmallService, flow_document, problem, serving

COUNTS = {"cancelled": 2, "completed": 1, "waiting": 0}


@pytest_asyncio.fixture
async def service(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[SmallService]:
    async with serving() as service:
        monkeypatch.setenv("BULLFLOW_URL", service.url)
        yield service


def answer(service: SmallService, method: str, path: str, document: Any, status: int = 200) -> None:
    service.answers[method, path] = JSONResponse(document, status)


def planned(*names: str, status: str) -> dict[str, Any]:
    return {"count": len(names), "jobs": [{"id": name, "name": name, "status": status} for name in names]}


PLAN = {"flowId": "f1", "again": planned("root", "bad", status="failed"), "reused": planned("ok", status="completed")}


async def test_cancel_says_what_has_become_of_the_jobs(service: SmallService, bullflow: Bullflow) -> None:
    answer(service, "POST", "/flows/f1/cancel", flow_document("f1", status="cancelled", counts=COUNTS), 202)

    outcome = await bullflow("flows", "cancel", "f1")

    assert (outcome.code, outcome.out) == (0, "watermark-video is cancelled: 2 cancelled, 1 completed\n")


async def test_a_refused_cancel_gives_the_services_own_words(service: SmallService, bullflow: Bullflow) -> None:
    service.answers["POST", "/flows/f1/cancel"] = problem(409, "Conflict", "The flow has completed already.")

    outcome = await bullflow("flows", "cancel", "f1")

    assert outcome.code == 1
    assert outcome.out == ""
    assert "The flow has completed already." in outcome.err


async def test_a_dry_run_of_a_retry_names_the_jobs_and_retries_nothing(
    service: SmallService, bullflow: Bullflow
) -> None:
    answer(service, "POST", "/flows/f1/retry", PLAN)

    outcome = await bullflow("flows", "retry", "f1", "--dry-run")

    assert outcome.out == ("would run again: 2  root (failed), bad (failed)\nwould be reused: 1  ok (completed)\n")
    assert [dict(request.query_params) for request in service.requests] == [{"dryRun": "true"}]


async def test_a_retry_of_one_job_asks_for_that_job(service: SmallService, bullflow: Bullflow) -> None:
    answer(service, "POST", "/jobs/j1/retry", PLAN)

    outcome = await bullflow("flows", "retry", "f1", "--job", "j1", "--dry-run", "--json")

    assert json.loads(outcome.out)["again"]["count"] == 2
    assert [request.url.path for request in service.requests] == ["/jobs/j1/retry"]


@pytest.mark.parametrize(("ended", "code"), [("flow.completed", 0), ("flow.failed", 1)])
async def test_a_retry_that_is_watched_ends_as_the_flow_does(
    service: SmallService, bullflow: Bullflow, ended: str, code: int
) -> None:
    service.add_flow("f1")
    service.write("f1", "flow.failed")
    retried = {**PLAN, **flow_document("f1")}  # the plan and the flow come from one route
    answer(service, "POST", "/flows/f1/retry", retried)
    answer(service, "GET", "/flows/f1", flow_document("f1", lastSeq=2))

    async def go_on() -> None:
        await service.subscribed(1)
        await service.tell("f1", "flow.retried")
        await service.tell("f1", ended)

    outcome, _ = await asyncio.gather(bullflow("flows", "retry", "f1", "--watch"), go_on())

    assert outcome.code == code
    assert outcome.out.startswith("watermark-video runs again: 2 jobs; 1 result is reused\n")
    assert [line.split()[2] for line in outcome.out.splitlines()[1:]] == ["flow.retried", ended]


async def test_explain_tells_each_reason_with_its_jobs(service: SmallService, bullflow: Bullflow) -> None:
    child = {"id": "c", "name": "read", "status": "waiting", "queueName": "gpu"}
    root = {**child, "id": "r", "name": "total", "status": "waiting-children"}
    reasons = [
        {"reason": "no-worker", "detail": "no worker runs", "count": 12, "queueName": "gpu", "jobs": [child]},
        {"reason": "delayed", "detail": "not yet", "count": 1, "queueName": "gpu", "jobs": [child], "until": AT},
        {
            "reason": "waits-for-children",
            "detail": "waits for 3",
            "count": 1,
            "queueName": "cpu",
            "jobs": [{**root, "waitsFor": {"count": 3, "jobs": [child]}}],
        },
    ]
    answer(
        service, "GET", "/flows/f1/explain", {"flowId": "f1", "status": "active", "engine": "ok", "reasons": reasons}
    )

    outcome = await bullflow("flows", "explain", "f1")

    assert outcome.out.splitlines() == [
        "no-worker  no worker runs",
        "  12 in gpu: read and 11 more",
        f"delayed  not yet, until {AT}",
        "  1 in gpu: read",
        "waits-for-children  waits for 3",
        "  1 in cpu: total ← read (waiting) and 2 more",
    ]


async def test_explain_of_a_flow_that_has_ended(service: SmallService, bullflow: Bullflow) -> None:
    answer(service, "GET", "/flows/f1/explain", {"flowId": "f1", "status": "failed", "engine": "ok", "reasons": []})

    outcome = await bullflow("flows", "explain", "f1")

    assert outcome.out == "Nothing is left to run: the flow has ended (failed).\n"


async def test_log_lines_of_all_pages_are_printed_safely(service: SmallService, bullflow: Bullflow) -> None:
    line = {"id": "j1", "n": 1, "run": 1, "at": AT, "line": "one \x1b[31mred"}
    answer(service, "GET", "/jobs/j1/logs", {"items": [line], "next": None})

    outcome = await bullflow("flows", "logs", "j1")

    assert outcome.out == f"{AT}  one [31mred\n"
    assert dict(service.requests[0].query_params) == {"limit": "500"}


async def test_a_deleted_flow_is_gone(service: SmallService, bullflow: Bullflow) -> None:
    service.answers["DELETE", "/flows/f1"] = Response(status_code=204)

    outcome = await bullflow("flows", "delete", "f1")

    assert (outcome.code, outcome.out) == (0, "The flow f1 is gone.\n")
    assert [request.method for request in service.requests] == ["DELETE"]
