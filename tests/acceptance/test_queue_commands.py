"""Queues from the command line, over a real service: paused means that nothing begins, and resumed that it does."""

from pathlib import Path

from bullflow import Client
from support.handlers import a_sum_of
from support.processes import Processes, processes


def said(run: Processes, *words: str) -> list[str]:
    """The columns of what a command of queues says in its one line."""
    process = run.start("queues", *words)
    line = process.first_line()
    assert process.ended() == 0, process.log()
    return line.split("\t")


def test_an_operator_pauses_limits_and_resumes_a_queue(tmp_path: Path) -> None:
    with processes(tmp_path / "logs", data_dir=str(tmp_path / "data")) as run:
        up, url = run.start_ready("up", "tests.support.handlers:worker", "--port", "0")
        where = ("--url", url)
        with Client(url) as client:
            assert client.wait(client.create(a_sum_of(1, 2)).id, timeout=30).result == 3

            assert said(run, "pause", "sums", *where) == ["sums: paused, any number at once, at any rate"]
            held = client.create(a_sum_of(3, 4))
            assert said(run, "limit", "sums", "--concurrency", "1", "--rate", "1000/1", *where) == [
                "sums: paused, at most 1 at once, at most 1000 in 1 s"
            ]
            assert said(run, "list", *where)[:3] == ["sums", "paused", "1"]
            assert client.get(held.id).status == "waiting"

            assert said(run, "resume", "sums", *where) == ["sums: running, at most 1 at once, at most 1000 in 1 s"]
            assert client.wait(held.id, timeout=30).result == 7
            assert said(run, "list", *where)[-2:] == ["1", "1000/1"]
        assert up.stop() == 0
        assert "Traceback" not in up.log()
