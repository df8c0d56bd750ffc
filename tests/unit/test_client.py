"""The client against a small real service on localhost."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import aclosing

import pytest
import pytest_asyncio

from bullflow.client import AsyncClient, Client
from bullflow.errors import ApiError, Fault, Invalid, Misconfigured, NotFound, ServiceAway
from bullflow.wire import Event, Progress
from support.small_service import SmallService, job_document, not_bullflow, problem, serving

FLOW = {"name": "watermark-video", "queueName": "flowQueue", "data": {"text": "grüße"}}
RUN = [("job.active", "a"), ("job.completed", "a"), ("job.active", "root"), ("job.completed", "root")]


@pytest_asyncio.fixture
async def service() -> AsyncIterator[SmallService]:
    async with serving() as service:
        yield service


@pytest_asyncio.fixture
async def client(service: SmallService) -> AsyncIterator[AsyncClient]:
    async with AsyncClient(service.url) as client:
        yield client


async def seqs(client: AsyncClient, flow_id: str, after: int = 0) -> list[int]:
    return [entry.seq async for entry in client.watch(flow_id, after) if isinstance(entry, Event)]


def ended_flow(service: SmallService, flow_id: str = "f1") -> None:
    """A flow whose log counts 1 to 6."""
    service.add_flow(flow_id)
    for event, job in RUN:
        service.write(flow_id, event, job)
    service.write(flow_id, "flow.completed")


class TestAsking:
    async def test_a_flow_is_created_with_the_body_that_was_given(
        self, service: SmallService, client: AsyncClient
    ) -> None:
        service.add_flow("f1")

        created = await client.create(FLOW, idempotency_key="once")

        assert created.id == "f1"
        assert json.loads(service.bodies[0]) == FLOW
        assert service.requests[0].headers["idempotency-key"] == "once"

    async def test_filters_travel_under_the_names_of_the_api_and_absent_ones_not_at_all(
        self, service: SmallService, client: AsyncClient
    ) -> None:
        await client.flows(status="failed", queue_name="gpu", tag="nightly")

        assert dict(service.requests[0].query_params) == {
            "status": "failed",
            "queueName": "gpu",
            "tag": "nightly",
            "limit": "50",
        }

    async def test_the_token_is_sent_as_a_bearer_token(self, service: SmallService) -> None:
        service.add_flow("f1")
        async with AsyncClient(service.url, token="s3cret") as client:
            await client.get("f1")

        assert service.requests[0].headers["authorization"] == "Bearer s3cret"

    @pytest.mark.parametrize("key", ["..", ".", "../jobs/a", "a/b?c#d", "é %2F"])
    async def test_an_id_cannot_lead_to_another_path(
        self, service: SmallService, client: AsyncClient, key: str
    ) -> None:
        with pytest.raises(NotFound):
            await client.get(key)

        path = bytes(service.requests[0].scope["raw_path"])
        assert path.count(b"/") == 2
        assert path.startswith(b"/flows/")
        assert b"." not in path

    async def test_an_empty_id_is_not_found_and_does_not_ask_for_the_list(
        self, service: SmallService, client: AsyncClient
    ) -> None:
        with pytest.raises(NotFound):
            await client.get("")

        assert service.requests == []

    async def test_a_flow_that_is_not_there_is_not_found(self, client: AsyncClient) -> None:
        with pytest.raises(NotFound) as caught:
            await client.get("missing")

        assert (caught.value.kind, caught.value.key) == ("flow", "missing")

    async def test_a_problem_brings_all_its_faults(self, service: SmallService, client: AsyncClient) -> None:
        faults = [{"pointer": "/name", "detail": "is required"}, {"pointer": "/opts/jobId", "detail": "is not known"}]
        service.answers["POST", "/flows"] = problem(422, "Invalid", "2 faults", errors=faults)

        with pytest.raises(ApiError) as caught:
            await client.create({})

        assert caught.value.status == 422
        assert caught.value.faults == (Fault("/name", "is required"), Fault("/opts/jobId", "is not known"))

    async def test_an_error_that_is_no_problem_still_names_its_status(
        self, service: SmallService, client: AsyncClient
    ) -> None:
        service.answers["GET", "/flows/f1"] = not_bullflow(404)

        with pytest.raises(ApiError, match="404 Not Found: <html>"):
            await client.get("f1")

    async def test_an_answer_of_another_service_is_told_as_such(
        self, service: SmallService, client: AsyncClient
    ) -> None:
        service.answers["GET", "/flows/f1"] = not_bullflow()

        with pytest.raises(ApiError, match="is the address right"):
            await client.get("f1")

    @pytest.mark.parametrize("value", [float("nan"), b"bytes", object()])
    async def test_what_is_not_json_is_refused_before_it_is_sent(
        self, service: SmallService, client: AsyncClient, value: object
    ) -> None:
        with pytest.raises(Invalid, match="cannot be written as JSON"):
            await client.create({"data": value})

        assert service.requests == []

    async def test_a_service_that_is_away_is_told_with_its_address(self) -> None:
        async with AsyncClient(free_address()) as client:
            with pytest.raises(ServiceAway, match=client.url):
                await client.get("f1")
            with pytest.raises(ServiceAway, match=client.url):
                await anext(client.watch("f1"))

    @pytest.mark.parametrize("url", ["127.0.0.1:8420", "ftp://here", "http://", "http://h:port", "nonsense"])
    async def test_an_address_that_is_none_is_refused_at_once(self, url: str) -> None:
        with pytest.raises(Misconfigured):
            AsyncClient(url)

    async def test_the_address_comes_from_the_settings(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("BULLFLOW_URL", "http://flows.example:99/base/")

        async with AsyncClient() as client:
            assert client.url == "http://flows.example:99/base"


class TestWatching:
    async def test_every_entry_comes_once_in_order_until_the_end(
        self, service: SmallService, client: AsyncClient
    ) -> None:
        ended_flow(service)

        assert await seqs(client, "f1") == [1, 2, 3, 4, 5, 6]

    async def test_progress_comes_between_the_entries(self, service: SmallService, client: AsyncClient) -> None:
        ended_flow(service)

        progress = [entry async for entry in client.watch("f1") if isinstance(entry, Progress)]

        assert [(entry.id, entry.progress) for entry in progress] == [("a", 40), ("root", 40)]

    async def test_entries_arrive_while_they_are_written(self, service: SmallService, client: AsyncClient) -> None:
        service.add_flow("f1")
        async with aclosing(client.watch("f1")) as entries:
            first = await anext(entries)
            await service.tell("f1", "flow.cancelled")
            rest = [entry async for entry in entries]

        assert isinstance(first, Event)
        assert [entry.seq for entry in rest if isinstance(entry, Event)] == [2]

    @pytest.mark.parametrize("code", [1000, 1001, 1011, 1012, 4008])
    async def test_a_cut_connection_is_resumed_without_gap_or_repeat(
        self, service: SmallService, client: AsyncClient, code: int
    ) -> None:
        ended_flow(service)
        service.cuts = {2: code, 5: code}

        assert await seqs(client, "f1") == [1, 2, 3, 4, 5, 6]
        assert [wish["after"] for wish in service.subscriptions] == [0, 2, 5]

    async def test_entries_that_are_sent_again_are_handed_out_once(
        self, service: SmallService, client: AsyncClient
    ) -> None:
        ended_flow(service)
        service.cuts, service.repeats = {4: 1001}, 3

        assert await seqs(client, "f1") == [1, 2, 3, 4, 5, 6]

    async def test_an_entry_that_was_lost_on_the_way_is_asked_for_again(
        self, service: SmallService, client: AsyncClient
    ) -> None:
        ended_flow(service)
        service.skips = {3}

        assert await seqs(client, "f1") == [1, 2, 3, 4, 5, 6]
        assert [wish["after"] for wish in service.subscriptions] == [0, 2]

    async def test_a_watch_outlives_a_service_that_is_started_again(self) -> None:
        async with serving() as service:
            service.add_flow("f1")
            client = AsyncClient(service.url)
            entries = client.watch("f1")
            first = await anext(entries)
        rest = asyncio.create_task(remaining(entries))
        await somebody_knocks(service.port)
        async with serving(service.port) as again:
            ended_flow(again)
            assert isinstance(first, Event)
            assert [first.seq, *await rest] == [1, 2, 3, 4, 5, 6]
        await client.close()

    async def test_a_flow_that_has_ended_before_after_ends_the_watch_at_once(
        self, service: SmallService, client: AsyncClient
    ) -> None:
        ended_flow(service)

        assert await seqs(client, "f1", after=6) == []
        assert service.subscriptions == []

    async def test_what_was_written_after_the_end_is_still_handed_out(
        self, service: SmallService, client: AsyncClient
    ) -> None:
        ended_flow(service)
        service.write("f1", "job.failed", "straggler")

        assert await seqs(client, "f1") == [1, 2, 3, 4, 5, 6, 7]
        assert await seqs(client, "f1", after=6) == [7]

    async def test_a_flow_that_was_retried_is_watched_to_its_second_end(
        self, service: SmallService, client: AsyncClient
    ) -> None:
        service.add_flow("f1")
        for event in ("flow.failed", "flow.retried", "flow.completed"):
            service.write("f1", event)

        assert await seqs(client, "f1") == [1, 2, 3, 4]

    async def test_a_flow_that_is_not_there_is_not_found(self, client: AsyncClient) -> None:
        with pytest.raises(NotFound):
            await anext(client.watch("missing"))

    async def test_a_service_whose_database_is_away_is_asked_again(
        self, service: SmallService, client: AsyncClient
    ) -> None:
        ended_flow(service)
        service.errors = ["away", "away"]

        assert await seqs(client, "f1") == [1, 2, 3, 4, 5, 6]

    async def test_any_other_error_of_the_subscription_is_raised(
        self, service: SmallService, client: AsyncClient
    ) -> None:
        ended_flow(service)
        service.errors = ["too-many-subscriptions"]

        with pytest.raises(ApiError, match="too-many-subscriptions: as it is"):
            await anext(client.watch("f1"))

    async def test_too_many_sockets_are_waited_out_by_who_had_one_and_raised_to_who_had_none(
        self, service: SmallService, client: AsyncClient
    ) -> None:
        service.add_flow("f1")
        service.cuts = {2: 1011}
        waiting = asyncio.create_task(client.wait("f1", timeout=60))
        await service.subscribed(1)
        service.errors = ["too-many-sockets", "too-many-sockets"]
        await service.tell("f1", "job.active", "a")
        await service.subscribed(4)
        await service.tell("f1", "flow.completed")
        assert (await waiting).status == "completed"

        service.errors = ["too-many-sockets"]
        with pytest.raises(ApiError, match="too-many-sockets"):
            await anext(client.watch("f1"))

    async def test_a_refused_token_is_raised_and_not_tried_again(self, service: SmallService) -> None:
        ended_flow(service)
        service.token = "right"
        async with AsyncClient(service.url, token="wrong") as client:
            with pytest.raises(ApiError, match="403"):
                await anext(client.watch("f1"))
        async with AsyncClient(service.url, token="right") as client:
            assert await seqs(client, "f1") == [1, 2, 3, 4, 5, 6]


class TestWaiting:
    async def test_a_flow_that_has_ended_is_returned_without_a_socket(
        self, service: SmallService, client: AsyncClient
    ) -> None:
        ended_flow(service)

        flow = await client.wait("f1")

        assert flow.status == "completed"
        assert service.subscriptions == []

    async def test_waiting_returns_the_ended_flow_and_polls_nothing(
        self, service: SmallService, client: AsyncClient
    ) -> None:
        service.add_flow("f1")
        waiting = asyncio.create_task(client.wait("f1"))
        await service.subscribed(1)
        await service.tell("f1", "flow.failed")

        assert (await waiting).status == "failed"
        assert len(service.requests) == 2

    async def test_waiting_goes_on_through_a_cut_connection(self, service: SmallService, client: AsyncClient) -> None:
        service.add_flow("f1")
        service.cuts = {2: 4008}
        waiting = asyncio.create_task(client.wait("f1", timeout=60))
        await service.subscribed(1)
        await service.tell("f1", "job.active", "a")
        await service.subscribed(2)
        await service.tell("f1", "flow.completed")

        assert (await waiting).status == "completed"

    async def test_the_end_of_patience_is_a_timeout_error(self, service: SmallService, client: AsyncClient) -> None:
        service.add_flow("f1")

        with pytest.raises(TimeoutError, match=r"f1 has not ended within 0\.05 s"):
            await client.wait("f1", timeout=0.05)


class TestWithoutAnEventLoop:
    async def test_the_same_calls_work_from_a_plain_function(self, service: SmallService) -> None:
        ended_flow(service)
        service.jobs["f1"] = [job_document("root"), job_document("a", parentId="root")]

        def plain() -> None:
            with Client(service.url) as client:
                assert client.create(FLOW).id == "f1"
                assert client.get("f1").last_seq == 6
                assert [flow.id for flow in client.flows(status="completed").items] == ["f1"]
                assert [job.id for job in client.jobs("f1", limit=1).items] == ["root"]
                assert client.job("a").parent_id == "root"
                assert client.wait("f1", timeout=5).status == "completed"
                assert [entry.seq for entry in client.watch("f1") if isinstance(entry, Event)] == [1, 2, 3, 4, 5, 6]
                with pytest.raises(NotFound):
                    client.get("missing")

        await asyncio.to_thread(plain)

    async def test_a_watch_that_is_left_early_closes_its_connection(self, service: SmallService) -> None:
        service.add_flow("f1")

        def plain() -> None:
            with Client(service.url) as client:
                for _ in client.watch("f1"):
                    break
                unfinished = client.watch("f1")
                next(unfinished)

        await asyncio.to_thread(plain)

    async def test_a_closed_client_says_so(self, service: SmallService) -> None:
        def plain() -> None:
            client = Client(service.url)
            client.close()
            client.close()
            with pytest.raises(RuntimeError, match="closed"):
                client.get("f1")

        await asyncio.to_thread(plain)


async def remaining(entries: AsyncIterator[Event | Progress]) -> list[int]:
    return [entry.seq async for entry in entries if isinstance(entry, Event)]


async def somebody_knocks(port: int) -> None:
    """Return when a connection to the port was tried; it is slammed shut."""
    knocked = asyncio.Event()

    async def slam(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()
        knocked.set()

    async with await asyncio.start_server(slam, "127.0.0.1", port):
        await knocked.wait()


def free_address() -> str:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return f"http://127.0.0.1:{listener.getsockname()[1]}"
