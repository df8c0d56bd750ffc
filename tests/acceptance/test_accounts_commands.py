"""From `bullflow up` on this machine to a server with two users, by the commands alone."""

from pathlib import Path

import httpx
import pytest

from support.processes import Processes, processes
from support.servers import DatabaseServer, Valkey


def said(run: Processes, *arguments: str) -> list[str]:
    """What a command prints on stdout; it must succeed."""
    process = run.start(*arguments)
    lines = process.lines()
    assert process.ended() == 0, process.log()
    return lines


def complaint(run: Processes, *arguments: str) -> str:
    process = run.start(*arguments)
    assert process.lines() == []
    assert process.ended() == 1
    return process.log()


def test_two_users_get_tokens_and_each_sees_its_own(
    tmp_path: Path, databases: DatabaseServer, valkey: Valkey, prefix: str
) -> None:
    settings = {"database_url": databases.new_database(), "redis_url": valkey.url, "prefix": prefix}
    with processes(tmp_path / "logs", data_dir=str(tmp_path / "data"), **settings) as run:
        refused = complaint(run, "up", "--host", "0.0.0.0", "--port", "0")
        assert "--auth token" in refused
        assert "--host 127.0.0.1" in refused

        service, url = run.start_ready("up", "--auth", "token", "--host", "0.0.0.0", "--port", "0")
        assert "access.no_token" in service.log()
        for name in ("alice", "bob"):
            assert said(run, "users", "create", name, "--queue", f"{name}-*") == []
        (alice,), (bob,) = (said(run, "tokens", "create", name, "--days", "1") for name in ("alice", "bob"))
        assert alice.startswith("bf_")
        url = url.replace("0.0.0.0", "127.0.0.1")
        as_alice, as_bob = ({"Authorization": f"Bearer {token}"} for token in (alice, bob))
        flow = httpx.post(f"{url}/flows", json={"name": "a", "queueName": "alice-1"}, headers=as_alice).json()
        assert httpx.get(f"{url}/flows/{flow['id']}", headers=as_alice).status_code == 200
        assert httpx.get(f"{url}/flows/{flow['id']}", headers=as_bob).status_code == 404
        assert httpx.get(f"{url}/flows").status_code == 401

        users = [line.split("\t")[:3] for line in said(run, "users", "list")]
        assert users == [["alice", "enabled", "alice-*"], ["bob", "enabled", "bob-*"], ["local", "enabled", "all"]]
        listed = {line.split("\t")[1]: line.split("\t") for line in said(run, "tokens", "list")}
        assert listed["alice"][0] == alice.split("_")[1]
        assert listed["alice"][2] == "payloads read write"
        assert alice.split("_")[2] not in repr(listed)
        assert said(run, "tokens", "revoke", alice) == []
        assert said(run, "tokens", "list", "alice")[0].split("\t")[4] == "revoked"
        said(run, "users", "disable", "bob")
        assert said(run, "users", "list")[1].split("\t")[1] == "disabled"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["users", "create", "a b"], "name"),
        (["users", "create", "alice", "--queue", "a:b"], "'a:b' is no pattern"),
        (["users", "disable", "nobody"], "There is no user"),
        (["tokens", "create", "nobody"], "There is no user"),
        (["tokens", "revoke", "nothing"], "There is no token"),
        (["tokens", "list", "nobody"], "There is no user"),
    ],
)
def test_what_cannot_be_is_one_clear_line(tmp_path: Path, arguments: list[str], told: str) -> None:
    with processes(tmp_path / "logs", data_dir=str(tmp_path / "data")) as run:
        if arguments[1] != "create" or arguments[0] == "tokens":
            assert "there is no database" in complaint(run, *arguments)
        said(run, "users", "create", "somebody")
        log = complaint(run, *arguments)

    assert told in log.splitlines()[-1]
    assert "Traceback" not in log


def test_what_cannot_be_makes_no_database(tmp_path: Path) -> None:
    with processes(tmp_path / "logs", data_dir=str(tmp_path / "data")) as run:
        complaint(run, "users", "create", "a b")
        assert not (tmp_path / "data").exists()
        said(run, "users", "create", "somebody")
    assert (tmp_path / "data").stat().st_mode & 0o777 == 0o700


def test_a_name_is_taken_once(tmp_path: Path) -> None:
    with processes(tmp_path / "logs", data_dir=str(tmp_path / "data")) as run:
        said(run, "users", "create", "alice")
        assert "There is a user 'alice' already." in complaint(run, "users", "create", "alice")
