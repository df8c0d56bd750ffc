"""The command line: what it prints, where, and with which exit code."""

import asyncio
import json
import os
import pty
import signal
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from bullflow import serve
from bullflow.cli import server
from bullflow.cli.main import main
from bullflow.doctor import Check
from bullflow.errors import Misconfigured
from bullflow.settings import Settings
from bullflow.worker import Worker
from support.commands import Bullflow
from support.small_service import SmallService, job_document, problem, serving

FLOW = {"name": "watermark-video", "queueName": "flowQueue"}
START = [sys.executable, "-c", "from bullflow.cli.main import main; main()"]


@pytest_asyncio.fixture
async def service(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[SmallService]:
    async with serving() as service:
        monkeypatch.setenv("BULLFLOW_URL", service.url)
        yield service


def ended_flow(service: SmallService, end: str = "flow.completed") -> None:
    root = job_document("root", name="watermark-video", status="completed", children=["a"])
    service.add_flow("f1", root, job_document("a", parentId="root", name="download"), tags=["nightly"])
    service.write("f1", "job.active", "a", status="active", attempt=1)
    service.write("f1", "job.completed", "a", status="completed", result={"file": "/tmp/a.mp4"})
    service.write("f1", end)


class TestCreate:
    async def test_a_flow_from_a_file_is_created_and_its_id_printed(
        self, service: SmallService, bullflow: Bullflow, tmp_path: Path
    ) -> None:
        service.add_flow("f1")
        file = tmp_path / "flow.json"
        file.write_text(json.dumps(FLOW))

        assert await bullflow("flows", "create", str(file)) == (0, "f1\n", "")
        assert json.loads(service.bodies[0]) == FLOW

    async def test_a_flow_may_come_from_stdin_and_go_on_to_be_watched(
        self, service: SmallService, bullflow: Bullflow, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        ended_flow(service)
        monkeypatch.setattr(sys, "stdin", StringIO(json.dumps(FLOW)))

        outcome = await bullflow("flows", "create", "-", "--watch")

        assert outcome.code == 0
        assert outcome.out.splitlines()[0] == "f1"
        assert outcome.out.splitlines()[-1].endswith("flow.completed   watermark-video")

    async def test_the_whole_answer_can_be_had_as_json(
        self, service: SmallService, bullflow: Bullflow, tmp_path: Path
    ) -> None:
        service.add_flow("f1")
        (tmp_path / "flow.json").write_text(json.dumps(FLOW))

        outcome = await bullflow("flows", "create", str(tmp_path / "flow.json"), "--json")

        assert json.loads(outcome.out)["lastSeq"] == 1

    @pytest.mark.parametrize(
        ("content", "message"),
        [(None, "cannot be read: No such file"), ("{", "is not JSON"), ("[]", "a flow is a JSON object")],
    )
    async def test_a_file_that_holds_no_flow_is_told_in_one_line(
        self, bullflow: Bullflow, tmp_path: Path, content: str | None, message: str
    ) -> None:
        file = tmp_path / "flow.json"
        if content is not None:
            file.write_text(content)

        outcome = await bullflow("flows", "create", str(file))

        assert outcome.code == 1
        assert outcome.err.startswith("bullflow: ")
        assert message in outcome.err
        assert outcome.err.count("\n") == 1

    async def test_every_fault_of_a_flow_is_printed(
        self, service: SmallService, bullflow: Bullflow, tmp_path: Path
    ) -> None:
        faults = [{"pointer": "/name", "detail": "is required"}, {"pointer": "/x", "detail": "is not known here"}]
        service.answers["POST", "/flows"] = problem(422, "Invalid", "2 faults", errors=faults)
        (tmp_path / "flow.json").write_text("{}")

        outcome = await bullflow("flows", "create", str(tmp_path / "flow.json"))

        assert outcome.code == 1
        assert "/name: is required" in outcome.err
        assert "/x: is not known here" in outcome.err


class TestReading:
    async def test_a_list_in_a_pipe_has_one_flow_a_line_and_columns_parted_by_tabs(
        self, service: SmallService, bullflow: Bullflow
    ) -> None:
        ended_flow(service)

        outcome = await bullflow("flows", "list", "--status", "completed", "--queue", "flowQueue")

        assert outcome.out.rstrip("\n").split("\t") == [
            "f1",
            "watermark-video",
            "completed",
            "flowQueue",
            "2026-01-02T03:04:05.678Z",
            "0/1",
            "nightly",
        ]
        assert service.requests[0].query_params["queueName"] == "flowQueue"
        assert service.requests[0].query_params["status"] == "completed"

    async def test_show_draws_the_tree_once(self, service: SmallService, bullflow: Bullflow) -> None:
        ended_flow(service)

        outcome = await bullflow("flows", "show", "f1")

        assert outcome.code == 0
        assert "└─ ○ download" in outcome.out

    async def test_show_gives_the_ids_that_other_commands_ask_for(
        self, service: SmallService, bullflow: Bullflow
    ) -> None:
        error = {"message": "broken", "attempt": 1}
        leaf = job_document("a-longer-id", parentId="root", name="leaf", status="failed", error=error)
        service.add_flow("f1", job_document("root", name="top", children=["a-longer-id"]), leaf)

        outcome = await bullflow("flows", "show", "f1", "--ids")

        top, below, reason = outcome.out.splitlines()[2:5]
        assert top.startswith("root         ○ top")
        assert below.startswith("a-longer-id  └─ ✗ leaf")
        assert reason.strip() == "broken"
        assert reason.index("broken") > len("a-longer-id  ")

    async def test_show_reads_every_page_of_a_big_flow(self, service: SmallService, bullflow: Bullflow) -> None:
        service.add_flow("f1", job_document("root"), *(job_document(f"c{n}", parentId="root") for n in range(1_200)))

        outcome = await bullflow("flows", "show", "f1")

        assert "0 of 1,201 jobs" in outcome.out
        assert "… and 1,161 more: 1,161 waiting" in outcome.out

    async def test_an_unknown_flow_is_one_line_and_exit_code_1(self, service: SmallService, bullflow: Bullflow) -> None:
        outcome = await bullflow("flows", "show", "nope")

        assert outcome == (1, "", "bullflow: There is no flow with the id 'nope'.\n")

    async def test_a_service_that_is_away_is_one_line_and_exit_code_1(self, bullflow: Bullflow) -> None:
        outcome = await bullflow("flows", "list", "--url", "http://127.0.0.1:9")

        assert outcome.code == 1
        assert outcome.err.startswith("bullflow: bullflow does not answer at http://127.0.0.1:9: ")
        assert outcome.err.count("\n") == 1


class TestWatching:
    @pytest.mark.parametrize(("end", "code"), [("flow.completed", 0), ("flow.failed", 1), ("flow.cancelled", 1)])
    async def test_the_exit_code_tells_how_the_flow_ended(
        self, service: SmallService, bullflow: Bullflow, end: str, code: int
    ) -> None:
        ended_flow(service, end)

        assert (await bullflow("flows", "watch", "f1")).code == code

    async def test_a_pipe_gets_one_line_for_each_entry_from_the_first_on(
        self, service: SmallService, bullflow: Bullflow
    ) -> None:
        ended_flow(service)

        outcome = await bullflow("flows", "watch", "f1")

        words = [line.split() for line in outcome.out.splitlines()]
        assert [(line[1], line[2], line[3]) for line in words] == [
            ("1", "flow.created", "watermark-video"),
            ("2", "job.active", "download"),
            ("3", "job.completed", "download"),
            ("4", "flow.completed", "watermark-video"),
        ]

    async def test_a_terminal_gets_a_tree_that_follows_the_flow(self, service: SmallService) -> None:
        root = job_document("root", name="watermark-video", status="waiting-children", children=["a"])
        service.add_flow("f1", root, job_document("a", parentId="root", name="download"))
        screen, terminal = pty.openpty()
        watching = await asyncio.create_subprocess_exec(*START, "flows", "watch", "f1", stdout=terminal)
        os.close(terminal)
        reading = asyncio.create_task(asyncio.to_thread(read_screen, screen))

        await service.subscribed(1)
        await service.tell("f1", "job.active", "a", status="active", attempt=1)
        await service.tell("f1", "job.completed", "a", status="completed", result=42)
        await service.tell("f1", "flow.completed")

        assert await watching.wait() == 0
        drawing = await reading
        assert "○ " in drawing
        assert "✓ " in drawing
        assert "42" in drawing

    async def test_ctrl_c_ends_a_watch_without_a_trace(self, service: SmallService) -> None:
        service.add_flow("f1", job_document("root"))
        watching = await asyncio.create_subprocess_exec(
            *START, "flows", "watch", "f1", stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
        )
        await service.subscribed(1)
        watching.send_signal(signal.SIGINT)
        _, err = await watching.communicate()

        assert watching.returncode == 130
        assert b"Traceback" not in err


def read_screen(screen: int) -> str:
    parts = []
    try:
        while part := os.read(screen, 65536):
            parts.append(part)
    except OSError:  # how Linux tells that the other end is closed
        pass
    os.close(screen)
    return b"".join(parts).decode()


class TestErrors:
    async def test_a_trace_is_shown_only_at_log_level_debug(
        self, monkeypatch: pytest.MonkeyPatch, bullflow: Bullflow
    ) -> None:
        assert (await bullflow("flows", "list", "--url", "nonsense")).code == 1

        monkeypatch.setenv("BULLFLOW_LOG_LEVEL", "debug")
        monkeypatch.setattr(sys, "argv", ["bullflow", "flows", "list", "--url", "nonsense"])
        with pytest.raises(Misconfigured):
            await asyncio.to_thread(main)

    async def test_settings_that_cannot_work_are_all_named(self, bullflow: Bullflow) -> None:
        outcome = await bullflow("up", "--port", "99999", "--redis-url", "http://redis")

        assert outcome.code == 1
        assert "BULLFLOW_PORT=99999" in outcome.err
        assert "BULLFLOW_REDIS_URL='http://redis'" in outcome.err

    @pytest.mark.parametrize("words", [("flows",), ("db",), ()])
    async def test_a_group_without_a_command_shows_its_help(self, bullflow: Bullflow, words: tuple[str, ...]) -> None:
        outcome = await bullflow(*words)

        assert "Commands" in outcome.out + outcome.err

    @pytest.mark.parametrize(
        "words",
        [
            ("flows", "create"),
            ("flows", "list"),
            ("flows", "show"),
            ("flows", "watch"),
            ("worker",),
            ("up",),
            ("api",),
            ("recorder",),
            ("db", "upgrade"),
            ("doctor",),
        ],
    )
    async def test_every_command_has_help_with_an_example(self, bullflow: Bullflow, words: tuple[str, ...]) -> None:
        outcome = await bullflow(*words, "--help")

        assert outcome.code == 0
        assert f"Example: bullflow {' '.join(words)}" in outcome.out


class TestServerCommands:
    async def test_up_is_given_the_flags_and_says_when_it_serves(
        self, bullflow: Bullflow, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        seen: list[Any] = []

        async def up(
            settings: Settings, workers: Sequence[Worker], ready: Callable[[str], None], *, beside: object
        ) -> None:
            seen.extend((settings, workers, beside))
            ready("http://127.0.0.1:4711")

        monkeypatch.setattr(serve, "up", up)
        flags = ("--host", "0.0.0.0", "--port", "4711", "--data-dir", str(tmp_path), "--concurrency", "7")

        outcome = await bullflow("up", *flags)

        assert outcome == (0, "bullflow is ready: http://127.0.0.1:4711\n", "")
        assert (seen[0].host, seen[0].port, seen[0].data_dir, seen[0].concurrency) == ("0.0.0.0", 4711, tmp_path, 7)
        assert seen[1:] == [[], None]

    async def test_the_doctor_marks_each_check_and_fails_when_one_does(
        self, bullflow: Bullflow, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        checks = [Check(name="database", ok=True, detail="SQLite")]

        async def examine(settings: Settings) -> list[Check]:
            return checks

        monkeypatch.setattr(server, "examine", examine)
        assert await bullflow("doctor") == (0, "✓ database: SQLite\n", "")

        checks.append(Check(name="engine", ok=False, detail="start Redis [6.2]"))
        assert await bullflow("doctor") == (1, "✓ database: SQLite\n✗ engine: start Redis [6.2]\n", "")

    async def test_the_doctor_finds_that_nothing_is_there_yet(self, bullflow: Bullflow, tmp_path: Path) -> None:
        outcome = await bullflow("doctor", "--data-dir", str(tmp_path))

        assert outcome.code == 1
        assert [line[0] for line in outcome.out.splitlines()] == ["✗", "✗", "✗"]

    async def test_the_database_is_brought_up_to_date(self, bullflow: Bullflow, tmp_path: Path) -> None:
        outcome = await bullflow("db", "upgrade", "--data-dir", str(tmp_path / "data"))

        assert outcome.code == 0
        assert outcome.out.count("\n") == 1
        assert (tmp_path / "data" / "bullflow.db").exists()

    @pytest.mark.parametrize("words", ["up my:worker --port 1", "api", "recorder", "db upgrade", "doctor"])
    async def test_without_the_server_its_commands_say_how_to_get_it(self, words: str) -> None:
        start = "import sys; sys.modules['sqlalchemy'] = None; from bullflow.cli.main import main; main()"

        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", start, *words.split(), stderr=asyncio.subprocess.PIPE
        )
        _, err = await process.communicate()

        assert process.returncode == 1
        assert err.decode() == 'bullflow: this command needs the server: pip install "bullflow[server]"\n'
