"""Handlers by the names of their jobs."""

from datetime import timedelta
from functools import partial

import pytest

from bullflow import Job, Worker
from bullflow.errors import Misconfigured, UnknownJobName
from bullflow.worker.registry import Registry, Task


async def in_the_loop(job: Job) -> None: ...


def in_a_thread(job: Job) -> None: ...


def a_task(name: str = "a", **fields: object) -> Task:
    return Task(**{"name": name, "handler": in_the_loop, "timeout": None, **fields})  # type: ignore[arg-type]


def test_a_handler_is_found_by_its_name() -> None:
    registry = Registry()
    task = a_task(timeout=timedelta(seconds=1))
    registry.add(task)

    assert registry.find("a") is task


def test_a_name_without_a_handler_says_so() -> None:
    with pytest.raises(UnknownJobName, match=r"^Unknown job name: b$"):
        Registry().find("b")


def test_a_second_handler_for_a_name_is_a_mistake() -> None:
    registry = Registry()
    registry.add(a_task())

    with pytest.raises(Misconfigured, match="two handlers for the job name 'a'"):
        registry.add(a_task())


def test_names_come_in_order() -> None:
    registry = Registry()
    for name in ("c", "a", "b"):
        registry.add(a_task(name))

    assert registry.names == ["a", "b", "c"]


def test_coroutines_run_in_the_loop_and_plain_functions_in_threads() -> None:
    assert a_task(handler=in_the_loop).is_async
    assert a_task(handler=partial(in_the_loop)).is_async
    assert not a_task(handler=in_a_thread).is_async


def test_an_object_whose_call_is_a_coroutine_runs_in_the_loop() -> None:
    class Handler:
        async def __call__(self, job: Job) -> None: ...

    assert a_task(handler=Handler()).is_async


def test_a_decorated_function_stays_what_it_was() -> None:
    worker = Worker("q")

    assert worker.task("a")(in_a_thread) is in_a_thread
    assert worker.task("b", timeout=0.5)(in_the_loop) is in_the_loop
    assert worker.names == ["a", "b"]
