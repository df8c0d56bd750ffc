"""The shapes themselves: their names, and the options that a flow may use."""

import inspect

import pytest
from pydantic import BaseModel

from bullflow import wire
from bullflow.flow.tree import POLICIES
from bullflow.wire import FlowIn, JobOptions, asked, shown, shown_queues

SAFE_OPTIONS = [
    "attempts",
    "backoff",
    "delay",
    "priority",
    "lifo",
    "timeout",
    "keepLogs",
    "stackTraceLimit",
    "sizeLimit",
    "removeOnComplete",
    "removeOnFail",
    "failParentOnFailure",
    "ignoreDependencyOnFailure",
    "removeDependencyOnFailure",
    "continueParentOnFailure",
    "timestamp",
]

MODELS = [
    model
    for module in (asked, shown, shown_queues)
    for _, model in inspect.getmembers(module, inspect.isclass)
    if issubclass(model, BaseModel) and model.__module__ == module.__name__
]


def names_of(model: type[BaseModel]) -> dict[str, str]:
    return {name: field.serialization_alias or name for name, field in model.model_fields.items()}


@pytest.mark.parametrize("model", MODELS)
def test_names_are_camel_case_on_the_wire(model: type[BaseModel]) -> None:
    for name, alias in names_of(model).items():
        first, *rest = name.split("_")
        assert alias == first + "".join(part.capitalize() for part in rest)
        assert model.model_fields[name].validation_alias in (alias, None)


@pytest.mark.parametrize("model", MODELS)
def test_what_has_been_read_is_not_changed(model: type[BaseModel]) -> None:
    assert model.model_config.get("frozen")


def test_the_options_are_those_that_are_safe_in_a_flow_and_no_others() -> None:
    assert list(names_of(JobOptions).values()) == SAFE_OPTIONS
    assert set(POLICIES) <= set(SAFE_OPTIONS)


def test_a_flow_has_bullmqs_shape_and_three_keys_of_its_own() -> None:
    keys = {"name", "queueName", "data", "opts", "children", "failFast", "deadline", "tags"}

    assert set(names_of(FlowIn).values()) == keys


def test_a_job_shows_what_the_design_lists() -> None:
    shown = (
        "id, jobId, flowId, parentId, name, queueName, status, data, opts, result, error, progress, attemptsMade, "
        "worker, createdAt, updatedAt, startedAt, finishedAt, children"
    )

    assert list(names_of(wire.Job).values()) == shown.split(", ")


def test_a_flow_shows_what_the_design_lists() -> None:
    shown = "id, name, status, queueName, createdAt, updatedAt, finishedAt, userId, result, error, counts, lastSeq"

    assert set(shown.split(", ")) <= set(names_of(wire.Flow).values())
