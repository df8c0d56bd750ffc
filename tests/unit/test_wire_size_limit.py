"""A job may bind its own data to fewer bytes than the service allows."""

import pytest

from bullflow.errors import Fault, Invalid
from bullflow.wire import Limits, read_flow

LIMITS = Limits(jobs=10, depth=10, data_bytes=100)


def job(size_limit: int) -> dict[str, object]:
    return {"name": "a", "queueName": "q", "data": "x" * 10, "opts": {"sizeLimit": size_limit}}


def test_data_within_its_own_limit_is_accepted() -> None:
    assert read_flow(job(12), LIMITS).root.data.text == '"xxxxxxxxxx"'


def test_data_over_its_own_limit_is_a_fault() -> None:
    with pytest.raises(Invalid) as refused:
        read_flow(job(11), LIMITS)

    assert refused.value.faults == (Fault("/data", "is 12 bytes; a job's data may have 11"),)


def test_its_own_limit_cannot_be_above_the_services() -> None:
    with pytest.raises(Invalid):
        read_flow({**job(1_000), "data": "x" * 99}, LIMITS)
