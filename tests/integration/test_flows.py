"""Flows from POST to their end, through real rooms over both databases."""

from pathlib import Path
from typing import Any

import pytest

from bullflow import Job, Worker
from support.servers import Valkey
from support.service import Service, running, settings_for


def adder() -> Worker:
    worker = Worker("sums", concurrency=10)

    @worker.task("number")
    async def number(job: Job) -> Any:
        return job.data["value"]

    @worker.task("sum")
    def add(job: Job) -> Any:
        return sum(job.children.all("number")) + sum(job.children.all("sum"))

    return worker


def number(value: int) -> dict[str, Any]:
    return {"name": "number", "queueName": "sums", "data": {"value": value}}


def total(*children: dict[str, Any]) -> dict[str, Any]:
    return {"name": "sum", "queueName": "sums", "children": list(children)}


async def test_a_parent_gets_the_values_of_its_children(
    store_url: str, valkey: Valkey, prefix: str, data_dir: Path
) -> None:
    settings = settings_for(store_url, valkey.url, prefix, data_dir)
    async with running(settings, [adder()]) as service:
        flow = await service.run(total(number(1), number(2), total(number(3), number(4))))

        assert flow.status == "completed"
        assert flow.result == 10
        assert [entry.seq for entry in await service.log_of(flow.id)] == list(range(1, flow.last_seq + 1))


__all__ = ["Service", "pytest"]
