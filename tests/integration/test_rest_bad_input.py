"""What is wrong with a flow is said clearly and at once, and nothing of it is stored."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import orjson
import pytest_asyncio
from sqlalchemy import func, select

from bullflow.store.database import Database
from bullflow.store.tables import Base
from support.servers import SqliteServer, Valkey
from support.service import Service, running, settings_for
from support.shapes import pointers, problem_of
from support.sockets import exchange

LIMITS = {"max_jobs": 5, "max_depth": 3, "max_data_bytes": 100, "max_body_bytes": 20_000}
THERE_FROM_THE_START = {"users", "leases", "engine_marks"}


@pytest_asyncio.fixture
async def service(sqlite: SqliteServer, valkey: Valkey, prefix: str, data_dir: Path) -> AsyncIterator[Service]:
    """A service with narrow limits that must not have stored anything when the test ends."""
    settings = settings_for(sqlite.new_database(), valkey.url, prefix, data_dir, **LIMITS)
    async with running(settings) as running_service:
        yield running_service
    assert await rows(settings.store_url) == {}


async def rows(store_url: str) -> dict[str, int]:
    """How many rows each table has, where it has any."""
    database = Database(store_url)
    try:
        async with database.read() as snapshot:
            counts = {
                table.name: await snapshot.scalar(select(func.count()).select_from(table))
                for table in Base.metadata.sorted_tables
            }
    finally:
        await database.close()
    return {name: count for name, count in counts.items() if count and name not in THERE_FROM_THE_START}


def job(name: Any = "a", *children: Any, **more: Any) -> dict[str, Any]:
    return {"name": name, "queueName": "q", **({"children": list(children)} if children else {}), **more}


async def refused(service: Service, body: Any) -> list[str]:
    """The pointers of the faults that this body is refused for, sorted."""
    found = problem_of(await service.http.post("/flows", content=orjson.dumps(body)), 422)
    assert all(fault.detail for fault in found.errors)
    return sorted(pointers(found))


NOT_JSON = (b"", b" ", b"{", b'{"name": "a"} x', b"{'name': 1}", b'{"name": "\xff"}', b"NaN", b'{"a": "\\ud800"}')


async def test_a_body_that_is_not_json_is_a_400(service: Service) -> None:
    for body in NOT_JSON:
        found = problem_of(await service.http.post("/flows", content=body), 400)
        assert "not JSON" in found.detail


async def test_json_that_is_no_object_is_a_422(service: Service) -> None:
    for body in (None, 1, "flow", [], [job()], True):
        assert await refused(service, body) == [""]


WRONG_SHAPES: tuple[tuple[Any, list[str]], ...] = (
    ({}, ["/name", "/queueName"]),
    (job(""), ["/name"]),
    (job("x" * 201), ["/name"]),
    (job(7), ["/name"]),
    (job("a\x00b"), ["/name"]),
    (job(queueName="a:b"), ["/queueName"]),
    (job(queueName="{a}"), ["/queueName"]),
    (job(queueName="x" * 129), ["/queueName"]),
    (job(colour="red"), ["/colour"]),
    (job(children={}), ["/children"]),
    (job("a", job("b", failFast=True)), ["/children/0/failFast"]),
    (job("a", job(), "b", None), ["/children/1", "/children/2"]),
    (job(tags=["x" * 65, "", 3]), ["/tags/0", "/tags/1", "/tags/2"]),
    (job(tags=[f"t{n}" for n in range(21)]), ["/tags"]),
    (job(failFast="yes", deadline=0), ["/deadline", "/failFast"]),
    (job(deadline=1.5), ["/deadline"]),
    (job(opts=[]), ["/opts"]),
    (
        job(opts={"attempts": 0, "delay": -1, "priority": 2_097_152}),
        ["/opts/attempts", "/opts/delay", "/opts/priority"],
    ),
    (job(opts={"attempts": "3", "lifo": 1, "timeout": 0}), ["/opts/attempts", "/opts/lifo", "/opts/timeout"]),
    (job(opts={"backoff": {"type": "custom", "delay": 1}}), ["/opts/backoff/type"]),
    (job(opts={"backoff": {"type": "fixed"}}), ["/opts/backoff/delay"]),
    (job(opts={"removeOnComplete": {"age": -1}}), ["/opts/removeOnComplete/age"]),
    (job(opts={"failParentOnFailure": True, "ignoreDependencyOnFailure": True}), ["/opts"]),
)


async def test_a_flow_of_the_wrong_shape_is_refused_with_pointers(service: Service) -> None:
    for body, faults in WRONG_SHAPES:
        assert (body, await refused(service, body)) == (body, faults)


async def test_an_option_that_is_unknown_or_unsafe_is_named(service: Service) -> None:
    for name in ("parent", "jobId", "repeat", "deduplication", "prefix", "bullflow", "connection"):
        assert await refused(service, job("a", job(opts={name: "x"}))) == [f"/children/0/opts/{name}"]
    assert await refused(service, job(opts={"a/b~c": 1})) == ["/opts/a~1b~0c"]


async def test_of_two_failure_policies_both_are_named(service: Service) -> None:
    body = job("a", job(opts={"removeDependencyOnFailure": True, "continueParentOnFailure": True}))
    found = problem_of(await service.http.post("/flows", json=body), 422)

    assert "removeDependencyOnFailure and continueParentOnFailure" in found.errors[0].detail


async def test_every_fault_of_the_whole_tree_is_told_at_once(service: Service) -> None:
    broken = job("", job("b", job(5), opts={"jobId": "x"}), {"queueName": "q"}, opts={"attempts": -1})

    assert await refused(service, broken) == [
        "/children/0/children/0/name",
        "/children/0/opts/jobId",
        "/children/1/name",
        "/name",
        "/opts/attempts",
    ]


async def test_limits_name_the_first_job_beyond_them(service: Service) -> None:
    assert await refused(service, job("a", *(job(str(n)) for n in range(5)))) == ["/children/4"]
    assert await refused(service, job("a", job("b", job("c", job("d"))))) == ["/children/0/children/0/children/0"]
    assert await refused(service, job("a", job(data="x" * 98), job(data="x" * 99))) == ["/children/1/data"]


async def test_a_very_deep_body_is_refused_and_not_fatal(service: Service) -> None:
    deep = '{"name":"a","queueName":"q","children":[' * 400 + "]}" * 400

    assert pointers(problem_of(await service.http.post("/flows", content=deep), 422)) == ["/children/0" * 3]
    problem_of(await service.http.post("/flows", content="[" * 5_000 + "]" * 5_000), 400)


async def test_a_body_of_another_type_is_a_415(service: Service) -> None:
    for kind in (
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/jsonp",
    ):
        answer = await service.http.post("/flows", content=orjson.dumps(job()), headers={"content-type": kind})
        assert "application/json" in problem_of(answer, 415).detail


async def test_a_body_over_the_limit_is_a_413(service: Service) -> None:
    body = orjson.dumps(job(data=["x"] * 10_000))

    assert "20000" in problem_of(await service.http.post("/flows", content=body), 413).detail


async def test_a_body_that_says_that_it_is_too_long_is_not_awaited(service: Service) -> None:
    head = b"POST /flows HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: 20001\r\n\r\n"
    status, answer = await exchange(service.url, head)

    assert status == 413
    assert b"application/problem+json" in answer


async def test_a_body_without_a_length_is_cut_off_where_it_passes_the_limit(service: Service) -> None:
    head = b"POST /flows HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
    head += b"transfer-encoding: chunked\r\n\r\n"
    chunk = b"3e8\r\n" + b" " * 1_000 + b"\r\n"
    status, answer = await exchange(service.url, head + chunk * 21)

    assert status == 413
    assert b"application/problem+json" in answer


async def test_a_body_within_the_limit_may_come_in_pieces(service: Service) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        yield b'{"name": "",'
        yield b" " * 15_000
        yield b'"queueName": "q"}'

    assert pointers(problem_of(await service.http.post("/flows", content=pieces()), 422)) == ["/name"]
