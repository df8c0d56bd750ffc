"""`bullflow queues`: what it asks for, what it prints, and with which exit code."""

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from starlette.responses import JSONResponse

from support.commands import Bullflow
from support.small_service import SmallService, problem, queue_document, queue_settings, serving

RATE = {"max": 100, "duration": 2_500}


@pytest_asyncio.fixture
async def service(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[SmallService]:
    async with serving() as service:
        monkeypatch.setenv("BULLFLOW_URL", service.url)
        yield service


def answer(service: SmallService, method: str, path: str, document: Any, status: int = 200) -> None:
    service.answers[method, path] = JSONResponse(document, status)


def busy(name: str, **fields: Any) -> dict[str, Any]:
    counts = {"waiting": 3, "prioritized": 4, "delayed": 5, "active": 6, "failed": 7, "completed": 8}
    return queue_document(name, counts={"waiting-children": 9, **counts}, workers=2, **fields)


class TestReading:
    async def test_a_list_in_a_pipe_has_one_queue_a_line_and_columns_parted_by_tabs(
        self, service: SmallService, bullflow: Bullflow
    ) -> None:
        queues = [busy("gpu", paused=True), busy("cpu", concurrency=4, rateLimit=RATE, limitedFor=20), busy("io")]
        answer(service, "GET", "/queues", {"items": queues, "next": None})

        outcome = await bullflow("queues", "list", "--limit", "3")

        numbers = ["2", "7", "5", "6", "7"]
        assert [line.split("\t") for line in outcome.out.splitlines()] == [
            ["gpu", "paused", *numbers, "-", "-"],
            ["cpu", "limited", *numbers, "4", "100/2.5"],
            ["io", "running", *numbers, "-", "-"],
        ]
        assert outcome.err == ""
        assert dict(service.requests[0].query_params) == {"limit": "3"}

    async def test_what_follows_is_told_beside_the_list(self, service: SmallService, bullflow: Bullflow) -> None:
        answer(service, "GET", "/queues", {"items": [busy("gpu")], "next": "abc"})

        outcome = await bullflow("queues", "list", "--cursor", "xyz")

        assert outcome.err == "There are more: --cursor abc\n"
        assert service.requests[0].query_params["cursor"] == "xyz"

    async def test_the_list_can_be_had_as_json(self, service: SmallService, bullflow: Bullflow) -> None:
        page = {"items": [busy("gpu", rateLimit=RATE)], "next": "abc"}
        answer(service, "GET", "/queues", page)

        outcome = await bullflow("queues", "list", "--json")

        assert json.loads(outcome.out) == page
        assert outcome.err == ""

    async def test_a_queue_is_shown_with_its_counts_limits_and_workers(
        self, service: SmallService, bullflow: Bullflow
    ) -> None:
        workers = [
            {"name": "host:7:abc", "address": "10.0.0.3:4711", "age": 120, "idle": 3},
            {"name": None, "address": "10.0.0.4:1", "age": 5, "idle": 0},
        ]
        shown = busy("gpu", concurrency=4, rateLimit=RATE, limitedFor=250, workerList=workers)
        answer(service, "GET", "/queues/gpu", shown)

        lines = (await bullflow("queues", "show", "gpu")).out.splitlines()

        assert {line.split()[0]: line.split(maxsplit=1)[1] for line in lines[:-2]} == {
            "name": "gpu",
            "state": "limited",
            "waiting": "3",
            "waiting-children": "9",
            "delayed": "5",
            "prioritized": "4",
            "active": "6",
            "completed": "8",
            "failed": "7",
            "concurrency": "at most 4 at once",
            "rate": "at most 100 in 2.5 s, and the next one in 0.25 s",
            "workers": "2",
        }
        assert lines[-2].split() == ["host:7:abc", "10.0.0.3:4711", "up", "120", "s,", "idle", "3", "s"]
        assert lines[-1].split()[:3] == ["(no", "name)", "10.0.0.4:1"]
        assert json.loads((await bullflow("queues", "show", "gpu", "--json")).out) == shown

    async def test_what_a_worker_calls_itself_cannot_steer_the_terminal(
        self, service: SmallService, bullflow: Bullflow
    ) -> None:
        worker = {"name": "\x1b[2Jevil\n", "address": "\x07", "age": 0, "idle": 0}
        answer(service, "GET", "/queues/gpu", busy("gpu", workerList=[worker]))

        outcome = await bullflow("queues", "show", "gpu")

        assert "\x1b" not in outcome.out
        assert "\x07" not in outcome.out
        assert "evil" in outcome.out.splitlines()[-1]


class TestSetting:
    @pytest.mark.parametrize(("verb", "state"), [("pause", "paused"), ("resume", "running")])
    async def test_pausing_and_resuming_say_what_is_set_now(
        self, service: SmallService, bullflow: Bullflow, verb: str, state: str
    ) -> None:
        answer(service, "POST", f"/queues/gpu/{verb}", queue_settings("gpu", paused=state == "paused"), 202)

        assert await bullflow("queues", verb, "gpu") == (0, f"gpu: {state}, any number at once, at any rate\n", "")

    async def test_limits_are_sent_in_milliseconds(self, service: SmallService, bullflow: Bullflow) -> None:
        answer(service, "PUT", "/queues/gpu/limits", queue_settings("gpu", concurrency=4, rateLimit=RATE), 202)

        outcome = await bullflow("queues", "limit", "gpu", "--concurrency", "4", "--rate", "100/2.5")

        assert json.loads(service.bodies[0]) == {"concurrency": 4, "rateLimit": RATE}
        assert outcome == (0, "gpu: running, at most 4 at once, at most 100 in 2.5 s\n", "")

    async def test_a_limit_that_is_not_given_is_lifted(self, service: SmallService, bullflow: Bullflow) -> None:
        answer(service, "PUT", "/queues/gpu/limits", queue_settings("gpu"), 202)

        assert (await bullflow("queues", "limit", "gpu")).code == 0

        assert json.loads(service.bodies[0]) == {"concurrency": None, "rateLimit": None}

    @pytest.mark.parametrize("rate", ["x", "100", "100/", "/60", "1.5/60", "100/nan", "100/inf", "0/60", "9/0", "-1/1"])
    async def test_a_rate_that_is_none_is_refused_before_anything_is_asked(
        self, service: SmallService, bullflow: Bullflow, rate: str
    ) -> None:
        outcome = await bullflow("queues", "limit", "gpu", f"--rate={rate}")

        assert outcome.code == 2
        assert "--rate" in outcome.err
        assert service.requests == []

    async def test_an_engine_that_has_not_got_it_yet_is_told_on_stderr(
        self, service: SmallService, bullflow: Bullflow
    ) -> None:
        answer(service, "POST", "/queues/gpu/pause", queue_settings("gpu", paused=True, applied=False), 202)

        outcome = await bullflow("queues", "pause", "gpu")

        assert outcome.code == 0
        assert outcome.out == "gpu: paused, any number at once, at any rate\n"
        assert outcome.err == "The engine has not got this yet; it will as soon as it answers.\n"

    @pytest.mark.parametrize("words", [("pause", "gpu"), ("resume", "gpu"), ("limit", "gpu")])
    async def test_the_answer_can_be_had_as_json(
        self, service: SmallService, bullflow: Bullflow, words: tuple[str, str]
    ) -> None:
        settings = queue_settings("gpu", rateLimit=RATE, applied=False)
        for method, verb in (("POST", "pause"), ("POST", "resume"), ("PUT", "limits")):
            answer(service, method, f"/queues/gpu/{verb}", settings, 202)

        outcome = await bullflow("queues", *words, "--json")

        assert json.loads(outcome.out) == settings
        assert outcome.err == ""


async def test_an_unknown_queue_is_one_line_and_exit_code_1(service: SmallService, bullflow: Bullflow) -> None:
    service.answers["POST", "/queues/nope/pause"] = problem(404, "Not Found", "as it is")

    outcome = await bullflow("queues", "pause", "nope")

    assert outcome == (1, "", "bullflow: There is no queue 'nope': a queue is known once a flow has used it.\n")


@pytest.mark.parametrize("verb", ["list", "show", "pause", "resume", "limit"])
async def test_every_command_has_help_with_an_example(bullflow: Bullflow, verb: str) -> None:
    outcome = await bullflow("queues", verb, "--help")

    assert outcome.code == 0
    assert f"Example: bullflow queues {verb}" in outcome.out


async def test_the_group_without_a_command_shows_its_help(bullflow: Bullflow) -> None:
    outcome = await bullflow("queues")

    assert "Commands" in outcome.out + outcome.err
