"""Who may come in: tokens, scopes, sessions of browsers, and what is known of who did what."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio

from bullflow import AsyncClient, Job, serve
from bullflow.clock import now_ms
from bullflow.errors import ApiError, Misconfigured
from bullflow.flow.access import Scope
from bullflow.http.callers import COOKIE
from bullflow.settings import load
from support.eventually import eventually
from support.servers import Valkey
from support.service import Service, running, settings_for
from support.shapes import problem_of
from support.sockets import SentEvent, connected, event_stream
from support.stage import Stage
from support.tenants import ADMIN, Tenant, add_token, revoke, tenant, with_token

FLOW = {"name": "value", "queueName": "stage"}
READ = frozenset({Scope.READ})


@pytest_asyncio.fixture
async def service(store_url: str, valkey: Valkey, prefix: str, data_dir: Path, stage: Stage) -> AsyncIterator[Service]:
    settings = settings_for(store_url, valkey.url, prefix, data_dir, auth="token")
    async with running(settings, [stage.worker()]) as service:
        yield service


@pytest_asyncio.fixture
async def alice(service: Service) -> AsyncIterator[Tenant]:
    async with tenant(service, "alice") as made:
        yield made


@pytest_asyncio.fixture
async def root(service: Service) -> AsyncIterator[Tenant]:
    async with tenant(service, "root", scopes=ADMIN) as made:
        yield made


def detail_of(answer: httpx.Response, status: int) -> str:
    return problem_of(answer, status).detail


class TestTokens:
    async def test_without_one_nothing_is_answered_but_whether_the_service_is_there(self, service: Service) -> None:
        for path in ("/flows", "/me", "/queues", "/audit", "/flows/x", "/jobs/x"):
            answer = await service.http.get(path)
            assert "token" in detail_of(answer, 401)
            assert answer.headers["www-authenticate"].startswith("Bearer")
        for method, path in (("POST", "/flows"), ("POST", "/flows/bulk"), ("DELETE", "/flows/x")):
            assert (await service.http.request(method, path, json=FLOW)).status_code == 401
        for path in ("/healthz", "/readyz", "/openapi.json", "/"):
            assert (await service.http.get(path)).status_code != 401

    async def test_a_token_says_who_one_is(self, alice: Tenant) -> None:
        me = (await alice.http.get("/me")).json()

        assert me.pop("userId")
        assert me == {
            "name": "alice",
            "auth": "token",
            "scopes": ["payloads", "read", "write"],
            "queues": [],
            "tokenId": alice.token_id,
        }

    @pytest.mark.parametrize(
        "shown",
        ["x", "bf_", "bf_" + "a" * 12 + "_" + "b" * 43, "Bearer", "bs_" + "a" * 12 + "_" + "b" * 43, "ä" * 20],
    )
    async def test_what_is_no_token_opens_nothing(self, service: Service, shown: str) -> None:
        answer = await service.http.get("/me", headers=[(b"authorization", b"Bearer " + shown.encode())])

        assert detail_of(answer, 401)

    async def test_the_right_id_with_another_secret_opens_nothing(self, service: Service, alice: Tenant) -> None:
        other = alice.token[:-1] + ("A" if alice.token[-1] != "A" else "B")

        answer = await service.http.get("/me", headers={"Authorization": f"Bearer {other}"})

        assert detail_of(answer, 401)
        assert (await alice.http.get("/me")).status_code == 200

    async def test_a_token_opens_nothing_once_it_is_revoked(self, service: Service, alice: Tenant) -> None:
        assert (await alice.http.get("/me")).status_code == 200
        await revoke(service.settings, alice.token_id)

        async def is_shut_out() -> bool:
            return (await alice.http.get("/me")).status_code == 401

        await eventually(is_shut_out, within=5)

    async def test_a_user_who_is_disabled_is_shut_out_and_let_in_again(self, service: Service, alice: Tenant) -> None:
        async def status() -> int:
            return (await alice.http.get("/me")).status_code

        async def shut_out() -> bool:
            return await status() == 401

        async def let_in() -> bool:
            return await status() == 200

        async with serve.managing(service.settings) as accounts:
            await accounts.set_disabled("alice", True)
            await eventually(shut_out, within=5)
            await accounts.set_disabled("alice", False)
            await eventually(let_in, within=5)

    async def test_a_token_is_over_when_its_time_is(self, service: Service, alice: Tenant) -> None:
        async with serve.managing(service.settings) as accounts:
            past = await accounts.create_token("alice", READ, timedelta(milliseconds=1))
            later = await accounts.create_token("alice", READ, timedelta(hours=1))

        for secret, status in ((past, 401), (later, 200)):
            answer = await service.http.get("/me", headers={"Authorization": f"Bearer {secret.text}"})
            assert answer.status_code == status

    async def test_when_it_was_used_is_known_to_the_minute(self, service: Service, alice: Tenant) -> None:
        before = now_ms()
        await alice.http.get("/me")

        async with serve.managing(service.settings) as accounts:
            (token,) = await accounts.tokens("alice")
        assert token.last_used_at is not None
        assert before <= token.last_used_at <= now_ms()

    async def test_nobody_who_reads_the_store_can_use_a_token(self, service: Service, alice: Tenant) -> None:
        async with serve.managing(service.settings) as accounts:
            (token,) = await accounts.tokens()

        assert alice.token[-43:] not in repr(token)


class TestScopes:
    async def test_who_may_read_may_not_write(self, service: Service, alice: Tenant) -> None:
        flow = await alice.create(FLOW)
        async with with_token(service, "alice", scopes=READ) as reader:
            assert (await reader.http.get(f"/flows/{flow['id']}")).status_code == 200
            asked: list[tuple[str, str]] = [
                ("POST", "/flows"),
                ("POST", "/flows/bulk"),
                ("POST", f"/flows/{flow['id']}/cancel"),
                ("POST", f"/flows/{flow['id']}/retry"),
                ("DELETE", f"/flows/{flow['id']}"),
                ("POST", f"/jobs/{flow['jobs'][0]['id']}/retry"),
            ]
            for method, path in asked:
                assert "'write'" in detail_of(await reader.http.request(method, path, json={}), 403)

    async def test_who_may_write_may_not_read(self, service: Service, alice: Tenant) -> None:
        async with with_token(service, "alice", scopes=frozenset({Scope.WRITE})) as writer:
            await writer.create(FLOW)
            assert "'read'" in detail_of(await writer.http.get("/flows"), 403)

    async def test_queues_and_the_audit_are_for_admins(self, alice: Tenant, root: Tenant) -> None:
        await alice.create(FLOW)

        for path in ("/queues/stage/pause", "/queues/stage/resume"):
            assert "'admin'" in detail_of(await alice.http.post(path), 403)
            assert (await root.http.post(path)).status_code == 202
        assert "'admin'" in detail_of(await alice.http.put("/queues/stage/limits", json={}), 403)
        assert "'admin'" in detail_of(await alice.http.get("/audit"), 403)

    async def test_an_admin_sees_another_users_flows_by_name_and_nobody_else_does(
        self, service: Service, alice: Tenant, root: Tenant
    ) -> None:
        flow = await alice.create(FLOW)
        path = f"/flows/{flow['id']}"

        assert (await root.http.get(path)).status_code == 404
        assert (await root.http.get(path, params={"user": "alice"})).json()["id"] == flow["id"]
        listed = (await root.http.get("/flows", params={"user": "alice"})).json()["items"]
        assert [item["id"] for item in listed] == [flow["id"]]
        assert (await root.http.get("/flows")).json()["items"] == []
        async with tenant(service, "bob") as bob:
            assert "'admin'" in detail_of(await bob.http.get(path, params={"user": "alice"}), 403)
            assert (await bob.http.get("/me", params={"user": "bob"})).status_code == 200
        assert "nobody-here" in detail_of(await root.http.get("/flows", params={"user": "nobody-here"}), 404)


class TestQueuesOfUsers:
    async def test_a_flow_may_name_only_queues_of_its_users_patterns(self, service: Service) -> None:
        async with tenant(service, "carol", queues=["carol-*", "shared"]) as carol:
            await carol.create(
                {"name": "a", "queueName": "carol-video", "children": [{"name": "b", "queueName": "shared"}]}
            )
            wrong = {
                "name": "a",
                "queueName": "stage",
                "children": [{"name": "b", "queueName": "carol-x"}, {"name": "c", "queueName": "dave"}],
            }
            answer = await carol.http.post("/flows", json=wrong)

            assert answer.status_code == 422
            assert answer.json()["errors"] == [
                {"pointer": pointer, "detail": "is not among your queues: carol-*, shared"}
                for pointer in ("/queueName", "/children/1/queueName")
            ]
            assert len((await carol.http.get("/flows")).json()["items"]) == 1

    async def test_a_user_knows_the_queues_that_its_flows_have_used_and_an_admin_all(
        self, service: Service, alice: Tenant, root: Tenant
    ) -> None:
        await alice.create(FLOW)
        async with tenant(service, "bob") as bob:
            await bob.create({"name": "a", "queueName": "bobs"})

            async def known(who: Tenant) -> list[str]:
                return [queue["name"] for queue in (await who.http.get("/queues")).json()["items"]]

            assert await known(alice) == ["stage"]
            assert await known(bob) == ["bobs"]
            assert await known(root) == ["bobs", "stage"]
            for path in ("/queues/bobs", "/queues/bobs/tasks"):
                assert (await alice.http.get(path)).status_code == 404
                assert (await bob.http.get(path)).status_code == 200


class TestSessions:
    async def test_a_browser_signs_in_with_a_token_and_keeps_a_session(self, service: Service, alice: Tenant) -> None:
        async with self.browser(service) as browser:
            answer = await browser.post("/session", json={"token": alice.token})
            assert answer.status_code == 204
            cookie = answer.headers["set-cookie"]
            assert cookie.startswith(f"{COOKIE}=bs_")
            assert alice.token[-43:] not in cookie
            for part in ("HttpOnly", "SameSite=strict", "Path=/", "Max-Age=604800"):
                assert part in cookie
            assert "Secure" not in cookie  # this is plain HTTP
            assert (await browser.get("/me")).json()["name"] == "alice"
            assert (await browser.post("/flows", json=FLOW)).status_code == 201

            assert (await browser.delete("/session")).status_code == 204
            assert (await browser.get("/me")).status_code == 401
            browser.cookies.set(COOKIE, cookie.split("=", 1)[1].split(";")[0])
            assert (await browser.get("/me")).status_code == 401
            assert (await browser.delete("/session")).status_code == 204
        async with with_token(service, "alice", scopes=ADMIN) as admin:
            acts = (await admin.http.get("/audit", params={"actor": "alice"})).json()["items"]
            assert [act["action"] for act in acts] == ["session.close", "flow.create", "session.open"]
            assert {act["tokenId"] for act in acts} == {alice.token_id}

    async def test_a_wrong_token_opens_no_session(self, service: Service) -> None:
        async with self.browser(service) as browser:
            answer = await browser.post("/session", json={"token": "bf_no"})
            assert detail_of(answer, 401)
            assert "set-cookie" not in answer.headers
            assert (await browser.post("/session", json={})).status_code == 422

    async def test_a_session_changes_nothing_for_a_page_of_another_site(self, service: Service, alice: Tenant) -> None:
        async with self.browser(service) as browser:
            await browser.post("/session", json={"token": alice.token})
            del browser.headers["origin"]
            assert "where it is from" in detail_of(await browser.post("/flows", json=FLOW), 403)
            foreign = {"Origin": "https://evil.example"}
            assert "evil.example" in detail_of(await browser.post("/flows", json=FLOW, headers=foreign), 403)
            assert (await browser.get("/flows")).json()["items"] == []

    async def test_a_session_opens_no_other_session_and_is_no_token(self, service: Service, alice: Tenant) -> None:
        async with self.browser(service) as browser:
            await browser.post("/session", json={"token": alice.token})
            session = browser.cookies[COOKIE]
            assert detail_of(await browser.post("/session", json={"token": session}), 401)
        for shown in ({"Authorization": f"Bearer {session}"}, {"Cookie": f"{COOKIE}={alice.token}"}):
            assert detail_of(await service.http.get("/me", headers=shown), 401)

    async def test_a_session_ends_with_its_token(self, service: Service, alice: Tenant) -> None:
        async with self.browser(service) as browser:
            await browser.post("/session", json={"token": alice.token})
            await revoke(service.settings, alice.token_id)

            async def is_shut_out() -> bool:
                return (await browser.get("/me")).status_code == 401

            await eventually(is_shut_out, within=5)

    async def test_behind_a_proxy_that_is_believed_the_cookie_is_for_tls_alone(
        self, service: Service, alice: Tenant
    ) -> None:
        async with self.browser(service) as browser:
            browser.headers["x-forwarded-proto"] = "https"
            answer = await browser.post("/session", json={"token": alice.token})
            assert "Secure" in answer.headers["set-cookie"]

    @staticmethod
    def browser(service: Service) -> httpx.AsyncClient:
        headers = {"Content-Type": "application/json", "Origin": service.url}
        return httpx.AsyncClient(base_url=service.url, headers=headers, timeout=30, verify=False)


class TestSockets:
    async def test_a_socket_is_let_in_by_header_or_by_its_first_message(self, service: Service, alice: Tenant) -> None:
        flow = await alice.create(FLOW)
        async with connected(service.url, additional_headers=alice.headers) as socket:
            assert (await socket.answer("subscribe", flowId=flow["id"]))["type"] == "subscribed"
        async with connected(service.url) as socket:
            await socket.send("authenticate", token=alice.token)
            assert (await socket.answer("subscribe", flowId=flow["id"]))["type"] == "subscribed"

    async def test_a_socket_that_shows_nothing_right_is_closed(self, service: Service, alice: Tenant) -> None:
        async with connected(service.url) as socket:
            await socket.send("subscribe")
            code, (told,) = await socket.closed()
            assert (code, told["code"]) == (4001, "unauthenticated")
        async with connected(service.url, additional_headers={"Authorization": "Bearer no"}) as socket:
            assert (await socket.closed())[0] == 4001
        async with (
            with_token(service, "alice", scopes=frozenset({Scope.WRITE})) as writer,
            connected(service.url, additional_headers=writer.headers) as socket,
        ):
            assert (await socket.closed())[0] == 4003

    async def test_a_cookie_opens_a_socket_for_pages_of_ours_alone(self, service: Service, alice: Tenant) -> None:
        async with TestSessions.browser(service) as browser:
            await browser.post("/session", json={"token": alice.token})
            cookie = {"Cookie": f"{COOKIE}={browser.cookies[COOKIE]}"}
        async with connected(service.url, additional_headers=cookie, origin=service.url) as socket:
            assert (await socket.answer("ping"))["type"] == "pong"
        async with connected(service.url, additional_headers=cookie) as socket:
            assert (await socket.closed())[0] == 4003

    async def test_an_answer_that_is_held_is_not_given_any_more_when_the_token_was_revoked(
        self, service: Service, alice: Tenant
    ) -> None:
        flow = await alice.create({"name": "root", "queueName": "nobodys"})
        held = asyncio.create_task(alice.http.get(f"/flows/{flow['id']}", params={"wait": 60}))
        await revoke(service.settings, alice.token_id)

        assert detail_of(await held, 401)

    async def test_sockets_and_streams_are_closed_soon_after_their_token_is_revoked(
        self, service: Service, alice: Tenant
    ) -> None:
        flow = await alice.create({"name": "root", "queueName": "nobodys"})
        async with (
            connected(service.url, additional_headers=alice.headers) as socket,
            alice.http.stream("GET", f"/flows/{flow['id']}/events", headers={"Accept": "text/event-stream"}) as stream,
        ):
            assert (await socket.answer("subscribe"))["type"] == "subscribed"
            await revoke(service.settings, alice.token_id)
            code, told = await socket.closed()
            assert (code, told[-1]["code"]) == (4001, "unauthenticated")
            async for _ in stream.aiter_bytes():
                pass  # until the service ends it

    async def test_an_admin_watches_another_users_flows_and_nobody_else_does(
        self, service: Service, alice: Tenant, root: Tenant
    ) -> None:
        flow = await alice.create(FLOW)
        async with connected(f"{service.url}", additional_headers=root.headers) as socket:
            assert (await socket.answer("subscribe", flowId=flow["id"]))["code"] == "not-found"
        events = f"/flows/{flow['id']}/events"
        async with connected(service.url, additional_headers=root.headers, query="?user=alice") as socket:
            assert (await socket.answer("subscribe", flowId=flow["id"]))["type"] == "subscribed"
        async with (
            tenant(service, "bob") as bob,
            connected(service.url, additional_headers=bob.headers, query="?user=alice") as socket,
        ):
            assert (await socket.closed())[0] == 4003
        assert (await root.http.get(events)).status_code == 404
        assert (await root.http.get(events, params={"user": "alice"})).json()["items"]


class TestAudit:
    async def test_who_did_what_is_known_newest_first(self, service: Service, alice: Tenant, root: Tenant) -> None:
        flow = await alice.create({"name": "root", "queueName": "nobodys"})
        await alice.http.post("/flows/bulk", json={"flows": [FLOW, FLOW]})
        await alice.http.post(f"/flows/{flow['id']}/cancel")
        await alice.http.post(f"/flows/{flow['id']}/retry")
        await alice.http.post(f"/flows/{flow['id']}/cancel")
        await alice.http.delete(f"/flows/{flow['id']}")
        await root.http.post("/queues/stage/pause")

        found = (await root.http.get("/audit")).json()["items"]

        told = [(act["actor"], act["action"]) for act in found]
        assert told == [
            ("root", "queue.pause"),
            ("alice", "flow.delete"),
            ("alice", "flow.cancel"),
            ("alice", "flow.retry"),
            ("alice", "flow.cancel"),
            ("alice", "flow.create"),
            ("alice", "flow.create"),
            ("operator", "token.create"),
            ("operator", "user.create"),
            ("operator", "token.create"),
            ("operator", "user.create"),
        ]
        assert found[5]["data"] == {"flows": 2}
        assert {act["target"] for act in found[1:5]} == {flow["id"]}
        assert {act["tokenId"] for act in found[1:7]} == {alice.token_id}
        assert [act["n"] for act in found] == sorted((act["n"] for act in found), reverse=True)

    async def test_it_comes_in_pages_and_by_user(self, alice: Tenant, root: Tenant) -> None:
        for _ in range(3):
            await alice.create(FLOW)
        pages: list[dict[str, Any]] = []
        cursor = None
        while True:
            answer = await root.http.get(
                "/audit", params={"actor": "alice", "limit": 2, **({"cursor": cursor} if cursor else {})}
            )
            pages += answer.json()["items"]
            cursor = answer.json()["next"]
            if cursor is None:
                break
        assert [act["action"] for act in pages] == ["flow.create"] * 3
        named = (await root.http.get("/audit", params={"user": "alice"})).json()["items"]
        assert named == pages


class TestRedact:
    @pytest_asyncio.fixture
    async def service(
        self, store_url: str, valkey: Valkey, prefix: str, data_dir: Path, stage: Stage
    ) -> AsyncIterator[Service]:
        settings = settings_for(
            store_url,
            valkey.url,
            prefix,
            data_dir,
            auth="token",
            redact=("password", "/card/*/number", "/value/card/*/number"),
        )
        worker = stage.worker()

        @worker.task("reporting")
        async def reporting(job: Job) -> Any:
            await stage.released("report")
            await job.progress(job.data["value"])
            await stage.released("end")
            return job.data["value"]

        async with running(settings, [worker]) as service:
            yield service

    async def test_what_happens_while_it_is_followed_is_hidden_as_well(
        self, service: Service, alice: Tenant, stage: Stage
    ) -> None:
        request = {"name": "reporting", "queueName": "stage", "data": {"value": {"password": "p-secret", "n": 1}}}
        flow = await alice.create(request)
        events = f"/flows/{flow['id']}/events"
        async with (
            with_token(service, "alice", scopes=frozenset({Scope.READ})) as blind,
            connected(service.url, additional_headers=blind.headers) as socket,
            connected(service.url, additional_headers=blind.headers) as summaries,
            event_stream(blind.http, events) as stream,
        ):
            await summaries.answer("subscribe")
            await socket.send("subscribe", flowId=flow["id"])
            begun = await _told_until(stream, "job.active")
            await socket.until(lambda message: message.get("event") == "job.active")
            await socket.pending()
            stage.release("report")
            reported = await socket.until(lambda message: message["type"] == "progress")
            stage.release("end")
            ended = await socket.until(lambda message: message.get("event") == "flow.completed")
            text = begun + await _told_until(stream, "flow.completed")
            told = await summaries.until(
                lambda message: message["type"] == "flow" and message["flow"]["status"] == "completed"
            )
        for seen in (repr(reported), repr(ended), repr(told), text):
            assert "[redacted]" in seen
            assert "p-secret" not in seen

    async def test_what_is_named_is_hidden_from_tokens_without_the_scope(self, service: Service, alice: Tenant) -> None:
        card = {"number": "n-secret", "type": "visa"}
        secret_data = {"user": "u", "deep": [{"Password": "p-secret"}], "card": [card]}
        request, key = {"name": "value", "queueName": "stage", "data": {"value": secret_data}}, {"Idempotency-Key": "k"}
        flow = await alice.create(request, **key)
        client = AsyncClient(service.url, token=alice.token)
        await client.wait(flow["id"], timeout=30)
        await client.close()
        paths = [f"/flows/{flow['id']}{part}" for part in ("", "/jobs", "/tree", "/events", "/outline")]
        paths += [f"/jobs/{flow['jobs'][0]['id']}", "/flows"]
        async with with_token(service, "alice", scopes=frozenset({Scope.READ, Scope.WRITE})) as blind:
            for path in paths:
                clear, hidden = (await alice.http.get(path)).text, (await blind.http.get(path)).text
                for secret in ("p-secret", "n-secret"):
                    assert secret in clear, path
                    assert secret not in hidden, path
                assert "[redacted]" in hidden
                assert "visa" in hidden
            async with connected(service.url, additional_headers=blind.headers) as socket:
                await socket.send("subscribe", flowId=flow["id"])
                messages = await socket.until(lambda message: message.get("event") == "flow.completed")
                await socket.answer("subscribe")
                again = await blind.create(request)
                ended = await socket.until(
                    lambda told: told["type"] == "flow" and told["flow"]["status"] == "completed"
                )
            repeated = await blind.create(request, **key)
            assert repeated["id"] == flow["id"]
            for told in (messages, repeated, ended):
                assert "[redacted]" in repr(told)
                assert "-secret" not in repr(told)
            async with event_stream(blind.http, f"/flows/{again['id']}/events") as stream:
                text = await _told_until(stream, "flow.completed")
            assert "[redacted]" in text
            assert "-secret" not in text


async def _told_until(stream: AsyncIterator[SentEvent], event: str) -> str:
    """What a stream tells, up to this event."""
    text = ""
    while event not in text:
        text += (await anext(stream)).data
    return text


class TestModes:
    async def test_on_another_address_than_loopback_the_default_refuses_to_start_and_says_how_to_go_on(
        self, store_url: str, valkey: Valkey, data_dir: Path
    ) -> None:
        settings = load(database_url=store_url, redis_url=valkey.url, data_dir=data_dir, host="0.0.0.0", port=0)
        for start in (serve.up(settings, (), lambda _: None), serve.api(settings, lambda _: None)):
            with pytest.raises(
                Misconfigured, match=r"(?s)BULLFLOW_AUTH=token.*BULLFLOW_AUTH=none.*--host 127\.0\.0\.1"
            ):
                await start

    async def test_none_lets_everybody_in_on_any_address(
        self, store_url: str, valkey: Valkey, prefix: str, data_dir: Path
    ) -> None:
        settings = settings_for(store_url, valkey.url, prefix, data_dir, auth="none").model_copy(
            update={"host": "0.0.0.0"}
        )
        async with running(settings) as service:
            port = httpx.URL(service.url).port
            async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", verify=False) as http:
                assert (await http.get("/me")).json()["auth"] == "none"
                refused = await http.post("/session", json={"token": "x"})
                assert "Nobody needs to sign in" in detail_of(refused, 409)

    async def test_clients_show_the_token_of_the_environment(
        self, service: Service, alice: Tenant, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async with AsyncClient(service.url) as client:
            with pytest.raises(ApiError, match="401"):
                await client.flows()
        monkeypatch.setenv("BULLFLOW_TOKEN", alice.token)
        async with AsyncClient(service.url) as client:
            created = await client.create(FLOW)
            assert (await client.wait(created.id, timeout=30)).id == created.id

    async def test_a_token_of_nobody_cannot_be_made(self, service: Service) -> None:
        with pytest.raises(Exception, match="There is no user"):
            await add_token(service.settings, "nobody")
