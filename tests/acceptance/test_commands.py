"""The commands as an operator meets them: one clear line when something is wrong, and nothing left behind."""

import signal
import socket
from pathlib import Path

import httpx
import psutil
import pytest

from support.processes import Processes, processes
from support.servers import PostgresServer, Valkey


def complaint(run: Processes, *arguments: str) -> str:
    """The last line of a command that must fail by itself, in one line and without a trace."""
    process = run.start(*arguments)
    assert process.ended() == 1
    log = process.log().strip()
    assert "Traceback" not in log, log
    return log.splitlines()[-1]


@pytest.fixture
def taken_port() -> socket.socket:
    listener = socket.create_server(("127.0.0.1", 0))
    return listener


def test_an_address_in_use_is_one_clear_line(tmp_path: Path, taken_port: socket.socket) -> None:
    port = str(taken_port.getsockname()[1])
    with taken_port, processes(tmp_path, data_dir=str(tmp_path / "data")) as run:
        line = complaint(run, "up", "--port", port)

    assert line == f"bullflow: cannot listen on 127.0.0.1:{port}: Address already in use; choose another with --port"


def test_a_database_that_cannot_be_reached_is_one_clear_line(tmp_path: Path, valkey: Valkey) -> None:
    url = f"postgresql://me:secret@/flows?host={tmp_path}"
    with processes(tmp_path / "logs", redis_url=valkey.url, database_url=url) as run:
        for command in (["up", "--port", "0", "--data-dir", str(tmp_path)], ["api", "--port", "0"], ["recorder"]):
            line = complaint(run, *command)

            assert line.startswith("bullflow: The database does not answer: ")
            assert "secret" not in line


def test_a_database_without_tables_says_how_to_make_them(
    tmp_path: Path, valkey: Valkey, postgres: PostgresServer
) -> None:
    with processes(tmp_path, redis_url=valkey.url, database_url=postgres.empty_database()) as run:
        line = complaint(run, "api", "--port", "0")
        upgrade = run.start("db", "upgrade")
        assert "to revision" in upgrade.first_line()
        assert upgrade.ended() == 0
        _, url = run.start_ready("api", "--port", "0")

        assert "run `bullflow db upgrade`" in line
        assert httpx.get(f"{url}/healthz").json() == {"status": "ok"}


def test_a_worker_without_an_engine_says_where_it_looked(tmp_path: Path) -> None:
    with processes(tmp_path / "logs", data_dir=str(tmp_path / "none")) as run:
        line = complaint(run, "worker", "tests.support.handlers:worker")

    assert line.startswith("bullflow: no engine: set BULLFLOW_REDIS_URL")
    assert str(tmp_path / "none") in line


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("no_such_module:worker", "no_such_module"),
        ("tests.support.handlers:nobody", "nobody"),
        ("tests.support.handlers:note", "note"),
        ("without-a-colon", "without-a-colon"),
    ],
)
def test_a_worker_that_cannot_be_loaded_is_one_clear_line(tmp_path: Path, target: str, said: str) -> None:
    with processes(tmp_path) as run:
        assert said in complaint(run, "worker", target)


def test_two_services_on_one_data_directory_do_not_meet(tmp_path: Path) -> None:
    data_dir = str(tmp_path / "data")
    with processes(tmp_path / "logs", data_dir=data_dir) as run:
        run.start_ready("up", "--port", "0")

        assert f"another `bullflow up` runs on the data directory {data_dir}" in complaint(run, "up", "--port", "0")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stopped_service_leaves_no_process_and_no_socket(tmp_path: Path, number: int) -> None:
    data_dir = tmp_path / "data"
    with processes(tmp_path / "logs", data_dir=str(data_dir)) as run:
        up, url = run.start_ready("up", "tests.support.handlers:worker", "--port", "0")
        started = psutil.Process(up.pid).children(recursive=True)
        assert [child.name() for child in started] == ["valkey-server"]
        assert httpx.get(f"{url}/readyz").json()["engine"] == "ok"

        assert up.stop(number) == 0

        assert not any(child.is_running() for child in started)
        assert "Traceback" not in up.log()
    assert not list(data_dir.rglob("*.sock"))


def test_the_doctor_finds_a_running_service_well(tmp_path: Path) -> None:
    with processes(tmp_path / "logs", data_dir=str(tmp_path / "data")) as run:
        run.start_ready("up", "--port", "0")

        doctor = run.start("doctor")

        assert doctor.first_line().startswith("✓ database: sqlite, revision ")
        assert doctor.ended() == 0
