"""The same flows over bullflow's worker and over BullMQ's own for Node: what is recorded is the same.

One service for each database serves all tests here; each flow is a world of its own. The queue `python`
has a Python worker, the queue `node` one in Node.
"""

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import pytest
import pytest_asyncio

from support.any_worker import python_worker
from support.both_kinds import OTHER
from support.node import node_worker
from support.servers import DatabaseServer, Valkey
from support.service import Service, running, settings_for
from support.story import expected, job, story

pytestmark = pytest.mark.asyncio(loop_scope="module")

HOUR = 3_600_000


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def database_url(request: pytest.FixtureRequest) -> str:
    server: DatabaseServer = request.getfixturevalue(request.param)
    return server.new_database()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def service(
    database_url: str, valkey: Valkey, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Service]:
    """A service with both workers."""
    folder = tmp_path_factory.mktemp("any-worker")
    settings = settings_for(database_url, valkey.url, f"any{uuid4().hex[:12]}", folder)
    with node_worker(valkey.url, settings.prefix, "node", folder / "node.log", concurrency=10):
        async with running(settings, [python_worker("python")]) as running_service:
            yield running_service


async def test_a_parent_gets_the_values_of_its_children(service: Service, kind: str) -> None:
    flow = job("sum", job("give", queue=kind, data=1), job("give", queue=kind, data=2), queue=kind)

    assert await story(service, flow) == expected("""
        flow completed 3: created dispatched completed
          sum completed 3, attempts 1: waiting active completed
            give completed 1, attempts 1: active completed
            give completed 2, attempts 1: active completed
    """)


async def test_nested_flows_run_from_the_leaves_up(service: Service, kind: str) -> None:
    below = job("sum", job("give", queue=kind, data=3), job("give", queue=kind, data=4), queue=kind)
    flow = job("sum", job("sum", below, queue=kind), job("give", queue=kind, data=10), queue=kind)

    assert await story(service, flow) == expected("""
        flow completed 17: created dispatched completed
          sum completed 17, attempts 1: waiting active completed
            sum completed 7, attempts 1: waiting active completed
              sum completed 7, attempts 1: waiting active completed
                give completed 3, attempts 1: active completed
                give completed 4, attempts 1: active completed
            give completed 10, attempts 1: active completed
    """)


async def test_any_json_travels_through_a_job(service: Service, kind: str) -> None:
    values: list[Any] = [None, "", "text é \u2028", 0, -1.5, False, [], {"deep": [{"é": None}, [1, 2.5]]}]
    flows = await asyncio.gather(*(service.run(job("give", queue=kind, data=value)) for value in values))

    assert [flow.result for flow in flows] == values


async def test_a_handler_that_returns_nothing_has_the_result_null(service: Service, kind: str) -> None:
    flow = job("take-stock", job("nothing", queue=kind), queue=kind)

    assert await story(service, flow) == expected("""
        flow completed {"failures":[],"values":[null]}: created dispatched completed
          take-stock completed {"failures":[],"values":[null]}, attempts 1: waiting active completed
            nothing completed null, attempts 1: active completed
    """)


@pytest.mark.parametrize("backoff", [{}, {"backoff": 0}])
async def test_a_job_that_fails_is_tried_again_at_once(service: Service, kind: str, backoff: dict[str, Any]) -> None:
    flow = job("fail-first", queue=kind, data={"times": 2}, attempts=3, **backoff)

    assert await story(service, flow) == expected("""
        flow completed 3: created dispatched completed
          fail-first completed 3, attempts 3: active retrying (waiting) active retrying (waiting) active completed
    """)


@pytest.mark.parametrize("backoff", [10, {"type": "fixed", "delay": 10}, {"type": "exponential", "delay": 5}])
async def test_a_job_that_fails_is_tried_again_after_its_backoff(service: Service, kind: str, backoff: Any) -> None:
    flow = job("fail-first", queue=kind, data={"times": 1}, attempts=2, backoff=backoff)

    assert await story(service, flow) == expected("""
        flow completed 2: created dispatched completed
          fail-first completed 2, attempts 2: active retrying (delayed) waiting active completed
    """)


async def test_a_job_that_fails_at_each_attempt_fails_for_good(service: Service, kind: str) -> None:
    flow = job("fail", queue=kind, data={"reason": "boom"}, attempts=2)

    assert await story(service, flow) == expected("""
        flow failed (boom): created dispatched failed
          fail failed (boom), attempts 2: active retrying (waiting) active failed
    """)


async def test_an_unrecoverable_error_ends_a_job_at_once(service: Service, kind: str) -> None:
    flow = job("give-up", queue=kind, data={"reason": "no use"}, attempts=5)

    assert await story(service, flow) == expected("""
        flow failed (no use): created dispatched failed
          give-up failed (no use), attempts 1: active failed
    """)


async def test_a_failed_child_fails_all_that_depend_on_it(service: Service, kind: str) -> None:
    below = job("sum", job("fail", queue=kind, data={"reason": "boom"}), job("give", queue=kind, data=1), queue=kind)
    flow = job("sum", below, queue=kind, attempts=3)

    assert await story(service, flow) == expected("""
        flow failed (a child failed): created dispatched failed
          sum failed (a child failed), attempts 1: waiting active failed
            sum failed (a child failed), attempts 1: waiting active failed
              fail failed (boom), attempts 1: active failed
              give completed 1, attempts 1: active completed
    """)


async def test_a_parent_may_ignore_a_failed_child_and_is_told_of_it(service: Service, kind: str) -> None:
    failing = job("fail", queue=kind, data={"reason": "boom"}, ignoreDependencyOnFailure=True)
    flow = job("take-stock", failing, job("give", queue=kind, data="a"), queue=kind)

    assert await story(service, flow) == expected("""
        flow completed {"failures":["boom"],"values":["a"]}: created dispatched completed
          take-stock completed {"failures":["boom"],"values":["a"]}, attempts 1: waiting active completed
            fail failed (boom), attempts 1: active failed
            give completed "a", attempts 1: active completed
    """)


async def test_a_parent_may_forget_a_failed_child(service: Service, kind: str) -> None:
    failing = job("fail", queue=kind, data={"reason": "boom"}, removeDependencyOnFailure=True)
    flow = job("take-stock", failing, job("give", queue=kind, data="a"), queue=kind)

    assert await story(service, flow) == expected("""
        flow completed {"failures":[],"values":["a"]}: created dispatched completed
          take-stock completed {"failures":[],"values":["a"]}, attempts 1: waiting active completed
            fail failed (boom), attempts 1: active failed
            give completed "a", attempts 1: active completed
    """)


async def test_a_parent_may_continue_when_a_child_has_failed(service: Service, kind: str) -> None:
    failing = job("fail", queue=kind, data={"reason": "boom"}, continueParentOnFailure=True)
    flow = job("take-stock", failing, queue=kind)

    assert await story(service, flow) == expected("""
        flow completed {"failures":["boom"],"values":[]}: created dispatched completed
          take-stock completed {"failures":["boom"],"values":[]}, attempts 1: waiting active completed
            fail failed (boom), attempts 1: active failed
    """)


async def test_a_parent_that_continues_may_remove_what_has_not_begun(service: Service, kind: str) -> None:
    failing = job("fail", queue=kind, data={"reason": "boom"}, continueParentOnFailure=True)
    unbegun = job("sum", job("give", queue=OTHER[kind], delay=HOUR), job("give", queue=kind, delay=HOUR), queue=kind)
    flow = job("go-on", failing, unbegun, queue=kind)

    assert await story(service, flow) == expected("""
        flow completed ["boom"]: created dispatched completed
          go-on completed ["boom"], attempts 1: waiting active completed
            fail failed (boom), attempts 1: active failed
            sum cancelled (it was removed from its queue), attempts 0: waiting cancelled
              give cancelled (it was removed from its queue), attempts 0: cancelled
              give cancelled (it was removed from its queue), attempts 0: cancelled
    """)


async def test_a_parent_that_cannot_complete_yet_has_failed_an_attempt(service: Service, kind: str) -> None:
    failing = job("fail", queue=kind, data={"reason": "boom"}, continueParentOnFailure=True)
    flow = await service.run(job("nothing", failing, job("give", queue=kind, delay=HOUR), queue=kind, attempts=2))

    assert flow.error is not None
    assert flow.error.attempt == 2


async def test_a_delayed_job_waits_until_it_is_due(service: Service, kind: str) -> None:
    flow = job("sum", job("give", queue=kind, data=1, delay=20), queue=kind, delay=20)

    assert await story(service, flow) == expected("""
        flow completed 1: created dispatched completed
          sum completed 1, attempts 1: delayed waiting active completed
            give completed 1, attempts 1: waiting active completed
    """)


async def test_jobs_with_a_priority_wait_among_their_like(service: Service, kind: str) -> None:
    child = job("fail-first", queue=kind, data={"times": 1}, attempts=2, priority=5)
    flow = job("sum", child, queue=kind, priority=5)

    assert await story(service, flow) == expected("""
        flow completed 2: created dispatched completed
          sum completed 2, attempts 1: waiting (prioritized) active completed
            fail-first completed 2, attempts 2: active retrying (prioritized) active completed
    """)


async def test_a_flow_mixes_queues_of_both_kinds(service: Service, kind: str) -> None:
    other = OTHER[kind]
    failing = job("fail", queue=other, data={"reason": "boom"}, attempts=2, ignoreDependencyOnFailure=True)
    below = job("sum", job("give", queue=other, data=1), failing, job("give", queue=kind, data=2), queue=kind)
    flow = job("sum", below, job("give", queue=kind, data=3), queue=other)

    assert await story(service, flow) == expected("""
        flow completed 6: created dispatched completed
          sum completed 6, attempts 1: waiting active completed
            sum completed 3, attempts 1: waiting active completed
              give completed 1, attempts 1: active completed
              fail failed (boom), attempts 2: active retrying (waiting) active failed
              give completed 2, attempts 1: active completed
            give completed 3, attempts 1: active completed
    """)


async def test_a_parent_hears_of_failures_on_a_queue_of_the_other_kind(service: Service, kind: str) -> None:
    other = OTHER[kind]
    ignored = job("give-up", queue=other, data={"reason": "boom"}, ignoreDependencyOnFailure=True)
    flow = job("take-stock", ignored, job("give", queue=other, data="a"), queue=kind)

    assert await story(service, flow) == expected("""
        flow completed {"failures":["boom"],"values":["a"]}: created dispatched completed
          take-stock completed {"failures":["boom"],"values":["a"]}, attempts 1: waiting active completed
            give-up failed (boom), attempts 1: active failed
            give completed "a", attempts 1: active completed
    """)


async def test_a_failed_child_fails_a_parent_on_a_queue_of_the_other_kind(service: Service, kind: str) -> None:
    flow = job("sum", job("give-up", queue=kind, data={"reason": "boom"}, attempts=2), queue=OTHER[kind])

    assert await story(service, flow) == expected("""
        flow failed (a child failed): created dispatched failed
          sum failed (a child failed), attempts 1: waiting active failed
            give-up failed (boom), attempts 1: active failed
    """)


async def test_a_parent_that_fails_with_a_child_names_it(service: Service, kind: str) -> None:
    flow = await service.run(job("sum", job("fail", queue=kind, data={"reason": "boom"}), queue=kind))

    assert flow.error is not None
    assert '"fail"' in flow.error.message


async def test_a_failure_is_recorded_with_its_stack(service: Service, kind: str) -> None:
    flow = await service.run(job("fail", queue=kind, data={"reason": "boom"}, attempts=2))

    assert flow.error is not None
    assert (flow.error.message, flow.error.attempt) == ("boom", 2)
    assert {"python": "any_worker.py", "node": "worker.mjs"}[kind] in str(flow.error.stack)


async def test_a_failure_is_recorded_without_its_stack_where_none_is_wanted(service: Service, kind: str) -> None:
    flow = await service.run(job("fail", queue=kind, data={"reason": "boom"}, stackTraceLimit=0))

    assert flow.error is not None
    assert (flow.error.message, flow.error.stack) == ("boom", None)
