"""What answers tell browsers, other sites, and whoever takes too long."""

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
import pytest_asyncio

from bullflow.http import bodies, protocol
from bullflow.http.callers import COOKIE
from bullflow.store import views
from support.servers import SqliteServer, Valkey
from support.service import Service, running, settings_for
from support.shapes import problem_of
from support.sockets import connected, exchange
from support.tenants import tenant

FRIEND = "https://ops.example"


@pytest_asyncio.fixture
async def service(sqlite: SqliteServer, valkey: Valkey, prefix: str, data_dir: Path) -> AsyncIterator[Service]:
    settings = settings_for(sqlite.new_database(), valkey.url, prefix, data_dir, cors_origins=[FRIEND])
    async with running(settings) as service:
        yield service


async def test_every_answer_says_that_it_is_no_page_to_be_framed_or_guessed_at(service: Service) -> None:
    for path in ("/flows", "/flows/x", "/healthz", "/openapi.json", "/nothing"):
        headers = (await service.http.get(path)).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "same-origin"
        assert headers["content-security-policy"] == "default-src 'none'; frame-ancestors 'none'"
    for path in ("/", "/ui/flows", "/docs"):
        policy = (await service.http.get(path)).headers["content-security-policy"]
        assert "frame-ancestors 'none'" in policy
        assert "script-src" not in policy or "unsafe-inline" not in policy.split("script-src")[1].split(";")[0]


async def test_so_does_the_answer_to_a_fault_of_the_service(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(views, "flows", broken)
    answer = await service.http.get("/flows")
    assert problem_of(answer, 500).detail == "The service has a fault; its log says more."
    assert answer.headers["content-security-policy"] == "default-src 'none'; frame-ancestors 'none'"


async def test_pages_of_a_site_that_is_named_may_use_the_api_without_cookies(service: Service) -> None:
    wanted = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization"}
    asked = {"Origin": FRIEND, **wanted}
    before = await service.http.options("/flows", headers=asked)
    assert before.status_code == 200
    assert before.headers["access-control-allow-origin"] == FRIEND
    assert "access-control-allow-credentials" not in before.headers
    answer = await service.http.post("/flows", json={"name": "a", "queueName": "q"}, headers={"Origin": FRIEND})
    assert answer.status_code == 201
    assert answer.headers["access-control-allow-origin"] == FRIEND


async def test_pages_of_a_site_that_is_named_do_not_come_in_with_somebodys_session(
    sqlite: SqliteServer, valkey: Valkey, prefix: str, data_dir: Path
) -> None:
    settings = settings_for(sqlite.new_database(), valkey.url, prefix, data_dir, auth="token", cors_origins=[FRIEND])
    async with running(settings) as service, tenant(service, "alice") as alice:
        async with httpx.AsyncClient(base_url=service.url, verify=False) as browser:
            signed_in = await browser.post("/session", json={"token": alice.token}, headers={"Origin": service.url})
            assert signed_in.status_code == 204
            assert (await browser.get("/me")).status_code == 200
            for origin in (FRIEND, "http://127.0.0.1:1"):
                answer = await browser.get("/me", headers={"Origin": origin})
                assert answer.status_code in (401, 403)
                body = {"name": "a", "queueName": "q"}
                assert (await browser.post("/flows", json=body, headers={"Origin": origin})).status_code in (401, 403)
            cookie = {"Cookie": f"{COOKIE}={browser.cookies[COOKIE]}"}
        async with connected(service.url, additional_headers=cookie, origin=FRIEND) as socket:
            await socket.send("subscribe")
            assert (await socket.closed())[0] == 4001


async def test_pages_of_any_other_site_may_not(service: Service) -> None:
    foreign = {"Origin": "https://evil.example"}
    answer = await service.http.post("/flows", json={"name": "a", "queueName": "q"}, headers=foreign)
    assert "evil.example" in problem_of(answer, 403).detail
    assert "access-control-allow-origin" not in answer.headers


async def test_a_body_that_does_not_come_to_an_end_is_a_408(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bodies, "READ_WITHIN", timedelta(milliseconds=50))
    head = b"POST /flows HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: 99\r\n\r\n{"

    status, answer = await exchange(service.url, head)

    assert status == 408
    assert b"application/problem+json" in answer


@pytest.mark.parametrize("head", [b"", b"GET /heal", b"GET /healthz HTTP/1.1\r\nhost: localhost\r\nx: "])
async def test_a_head_that_does_not_come_to_an_end_is_a_408(
    service: Service, monkeypatch: pytest.MonkeyPatch, head: bytes
) -> None:
    monkeypatch.setattr(protocol, "HEAD_WITHIN", timedelta(milliseconds=50))
    monkeypatch.setattr(protocol, "LINGERS", timedelta(milliseconds=50))

    status, _ = await exchange(service.url, head)

    assert status == 408


async def test_a_connection_that_is_idle_between_requests_is_not_taken_for_slow(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(protocol, "HEAD_WITHIN", timedelta(milliseconds=50))
    whole = b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n"

    status, answer = await exchange(service.url, whole + b"\r\n" + whole + b"connection: close\r\n\r\n")

    assert status == 200
    assert answer.count(b"HTTP/1.1 200 OK") == 2
    assert b"408" not in answer
