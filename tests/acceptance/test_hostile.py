"""What somebody might send to break a service, sent to a real one: it says no, stays small, and serves all others."""

import asyncio
import gzip
import json
import random
import re
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import psutil
import pytest
import pytest_asyncio

from bullflow.store import cursors
from support.eventually import eventually
from support.processes import Process, processes
from support.servers import SqliteServer, Valkey
from support.service import running, settings_for
from support.sockets import connected, exchange

JSON = {"Content-Type": "application/json"}
LARGEST = 1_200 * 1024
"""KiB that the service, and the process in which it reads what is large, may ever have had."""
CONNECTIONS = 200
HOSTILE_TEXTS = (
    "'; DROP TABLE flows; --",
    '" OR 1=1; --',
    "%s %(x)s {0} ${x} $1 ? \\",
    "return redis.call('FLUSHALL')",
    "]] redis.call('flushall') --",
    "EVAL\r\n*1",
    "__proto__",
    "constructor",
    "../../etc/passwd",
    "<script>alert(1)</script>",
    "\u202eright to left\u2066",
    "😀" * 20,
)


@pytest.fixture
def up(tmp_path: Path, sqlite: SqliteServer, valkey: Valkey, prefix: str) -> Iterator[tuple[Process, str]]:
    settings = {"database_url": sqlite.new_database(), "redis_url": valkey.url, "prefix": prefix}
    with processes(tmp_path / "logs", data_dir=str(tmp_path / "data"), **settings) as run:
        yield run.start_ready("up", "--port", "0")


@pytest_asyncio.fixture
async def http(up: tuple[Process, str]) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=up[1], headers=JSON, timeout=60, verify=False) as client:
        yield client


async def flows(http: httpx.AsyncClient) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await http.get("/flows", params={"limit": 500})).json()["items"]
    return found


async def refused(http: httpx.AsyncClient, body: bytes, status: int, **headers: str) -> httpx.Response:
    answer = await http.post("/flows", content=body, headers=headers)
    assert answer.status_code == status, answer.text[:500]
    assert answer.headers["content-type"] == "application/problem+json"
    return answer


async def test_bodies_that_are_meant_to_hurt_are_refused_and_nothing_is_left_of_them(
    up: tuple[Process, str], http: httpx.AsyncClient
) -> None:
    process, _ = up
    flow = b'{"name": "a", "queueName": "q", "data": %b}'
    not_json = (
        b"[" * 200_000,
        b'{"a":' * 5_000,
        flow % b"NaN",
        flow % b"1e",
        flow % b'"\xff\xfe"',
        b'{"name": "\xc3"}',
    )
    for body in not_json:
        await refused(http, body, 400)
    for body in (flow % (b'"' + b"x" * (33 << 20) + b'"'), b" " * (33 << 20)):
        await refused(http, body, 413)
    await refused(http, flow % (b'"' + b"x" * (1 << 20) + b'"'), 422)
    children = b",".join([b'{"name":"c","queueName":"q"}'] * 100_000)
    many = await refused(http, b'{"name":"a","queueName":"q","children":[%b]}' % children, 422)
    assert many.json()["errors"][0]["pointer"] == "/children/9999"
    bomb = gzip.compress(b" " * (64 << 20))
    await refused(http, bomb, 415, **{"Content-Encoding": "gzip"})
    for name in (b"a\\u0000b", b"\\u001b[31m", b""):
        await refused(http, b'{"name": "%b", "queueName": "q"}' % name, 422)
    for queue in ("a:b", "{a}", "a\x00", "bull:q:meta", "x" * 129, "\ud800"):
        body = json.dumps({"name": "a", "queueName": queue}).encode()
        await refused(http, body, 400 if queue == "\ud800" else 422)

    assert await flows(http) == []
    assert process.is_running()
    assert _most_memory(process) < LARGEST


async def test_texts_that_mean_something_elsewhere_mean_nothing_here(
    store_url: str, valkey: Valkey, prefix: str, data_dir: Path
) -> None:
    async with running(settings_for(store_url, valkey.url, prefix, data_dir)) as service:
        await _hostile_texts_are_texts(service.http)


async def _hostile_texts_are_texts(http: httpx.AsyncClient) -> None:
    made = []
    for text in HOSTILE_TEXTS:
        printable = re.sub(r"[\x00-\x1f\x7f]", " ", text)
        body = {
            "name": printable,
            "queueName": re.sub("[:{}]", " ", printable),
            "data": {text: text, "__proto__": {"admin": True}, "constructor": {"prototype": 1}},
            "tags": [printable[:64]],
            "children": [{"name": printable, "queueName": "q", "data": [text]}],
        }
        answer = await http.post("/flows", json=body, headers={"Idempotency-Key": sha256(text.encode()).hexdigest()})
        assert answer.status_code == 201, answer.text
        created = answer.json()
        made.append(created["id"])
        found = (await http.get(f"/jobs/{created['jobs'][0]['id']}")).json()
        assert found["data"] == body["data"]
        filters: dict[str, str] = {
            "name": printable,
            "queueName": re.sub("[:{}]", " ", printable),
            "tag": printable[:64],
        }
        for name, value in filters.items():
            listed = (await http.get("/flows", params={name: value})).json()["items"]
            assert [flow["id"] for flow in listed] == [created["id"]], (name, value)

    async def all_are_dispatched() -> bool:
        logs = [(await http.get(f"/flows/{flow_id}/events")).json()["items"] for flow_id in made]
        return all("flow.dispatched" in {entry["event"] for entry in log} for log in logs)

    await eventually(all_are_dispatched)
    assert len(await flows(http)) == len(HOSTILE_TEXTS)


async def test_of_a_key_that_comes_twice_in_one_object_the_last_counts_for_everybody(http: httpx.AsyncClient) -> None:
    body = b'{"name": "x", "name": "a", "queueName": "q", "data": {"k": 1, "k": 2}, "queueName": "r"}'

    created = (await http.post("/flows", content=body)).json()

    assert (created["name"], created["queueName"], created["jobs"][0]["data"]) == ("a", "r", {"k": 2})


async def test_a_number_that_no_machine_number_holds_is_kept_exactly_or_refused(http: httpx.AsyncClient) -> None:
    for number in (2**53 + 1, 2**63 - 1, 2**64 - 1, -(2**63)):
        created = await http.post("/flows", json={"name": "a", "queueName": "q", "data": number})
        assert created.json()["jobs"][0]["data"] == number
    too_large = await http.post("/flows", content=b'{"name": "a", "queueName": "q", "data": %d}' % 2**70)
    assert too_large.status_code in (201, 400)
    for field in ("deadline", "opts"):
        value: Any = 2**60 if field == "deadline" else {"attempts": 2**60}
        answer = await http.post("/flows", json={"name": "a", "queueName": "q", field: value})
        assert answer.status_code == 422


async def test_keys_that_are_sent_again_and_again_at_once_make_one_flow(http: httpx.AsyncClient) -> None:
    body = {"name": "a", "queueName": "q"}
    answers = await asyncio.gather(
        *(http.post("/flows", json=body, headers={"Idempotency-Key": "same"}) for _ in range(100))
    )

    assert {answer.status_code for answer in answers} <= {200, 201}
    assert len({answer.json()["id"] for answer in answers}) == len(await flows(http)) == 1


async def test_cursors_that_were_made_up_are_refused_on_every_list(http: httpx.AsyncClient) -> None:
    created = (await http.post("/flows", json={"name": "a", "queueName": "q"})).json()
    flow_id, job_id = created["id"], created["jobs"][0]["id"]
    chance = random.Random(1)
    lists = {
        "/flows": "flows",
        f"/flows/{flow_id}/jobs": f"jobs:{flow_id}:",
        f"/flows/{flow_id}/events": f"events:{flow_id}",
        f"/jobs/{job_id}/logs": f"logs:{job_id}",
        "/queues": "queues",
        "/audit": "audit:",
    }
    for path, listing in lists.items():
        forged = ["x", "AAAA", "a" * 500, "'; --", chance.randbytes(30).hex()]
        forged += [cursors.encode(listing, place) for place in ("", "a:b", "\x00", "\x1b")]
        if listing != "queues":  # where any of these may be a name
            forged += [cursors.encode(listing, place) for place in ("-1", "99999999999", "1; DROP")]
        forged += [cursors.encode("another", "1")]
        for cursor in forged:
            answer = await http.get(path, params={"cursor": cursor})
            assert answer.status_code == 422, (path, cursor)


async def test_whoever_is_slow_on_purpose_keeps_nobody_else_waiting(
    up: tuple[Process, str], http: httpx.AsyncClient
) -> None:
    process, url = up
    address = urlsplit(url)
    host = f"{address.hostname}:{address.port}".encode()
    beginnings = (
        b"",
        b"GET /flows HTTP/1.1\r\nHost: ",
        b"POST /flows HTTP/1.1\r\nHost: "
        + host
        + b"\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{",
        b"POST /flows HTTP/1.1\r\nHost: "
        + host
        + b"\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n1",
        b"GET /ws HTTP/1.1\r\nHost: " + host + b"\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n",
    )
    held = []
    try:
        for number in range(CONNECTIONS):
            reader, writer = await asyncio.open_connection(address.hostname, address.port)
            writer.write(beginnings[number % len(beginnings)])
            held.append((reader, writer))
        for _ in range(20):
            answer = await http.post("/flows", json={"name": "a", "queueName": "q"}, timeout=5)
            assert answer.status_code == 201
        assert len(await flows(http)) == 20
    finally:
        for _, writer in held:
            writer.close()
    assert process.is_running()


async def test_a_head_without_end_is_cut_off(up: tuple[Process, str], http: httpx.AsyncClient) -> None:
    _, url = up
    flood = b"GET /flows HTTP/1.1\r\n" + b"".join(b"X-%d: %b\r\n" % (n, b"a" * 200) for n in range(2_000))

    status, _ = await exchange(url, flood)

    assert status == 431
    assert (await http.get("/healthz")).status_code == 200


async def test_what_follows_a_body_without_end_is_cut_off(up: tuple[Process, str], http: httpx.AsyncClient) -> None:
    process, url = up
    head = b"GET /healthz HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n0\r\n"
    trailers = b"".join(b"X-%d: %b\r\n" % (n, b"a" * 200) for n in range(5_000))

    address = urlsplit(url)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    with suppress(OSError):
        writer.write(head + trailers)
        for _ in range(100):
            writer.write(trailers)
            await asyncio.wait_for(writer.drain(), 10)
    with suppress(OSError):
        await asyncio.wait_for(reader.read(), 10)  # until it is closed
    writer.close()

    assert (await http.get("/healthz")).status_code == 200
    assert _most_memory(process) < LARGEST


async def test_ten_thousand_subscriptions_on_one_socket_are_answered_one_by_one(
    up: tuple[Process, str], http: httpx.AsyncClient
) -> None:
    process, url = up
    many = {"flows": [{"name": "a", "queueName": "q"}] * 1_000}
    made = [flow["id"] for flow in (await http.post("/flows/bulk", json=many)).json()["flows"]]
    async with connected(url) as socket:
        told: Counter[str] = Counter()
        for number in range(10_000):
            unknown = f"019ab3c1-7d7a-7000-8000-{number:012x}"
            await socket.send("subscribe", flowId=made[number] if number < len(made) else unknown)
            if number % 100 == 99:
                told.update(str(message.get("code", message["type"])) for message in await socket.pending())
        assert told["too-many-subscriptions"] == 9_000
        assert told["subscribed"] == 1_000
    async with connected(url) as socket:
        assert (await socket.reply("subscribe", flowId=made[0]))["type"] == "subscribed"
    assert _most_memory(process) < LARGEST


def _most_memory(process: Process) -> int:
    """KiB that the process has ever had at once."""
    family = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
    ours = [member.pid for member in family if "valkey" not in member.name()]
    known = (Path(f"/proc/{pid}/status").read_text() for pid in ours)
    return sum(int(re.findall(r"VmHWM:\s+(\d+) kB", status)[0]) for status in known)
