"""Whatever JSON arrives: a flow or a list of faults, each at a place that exists."""

from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bullflow.errors import Fault, Invalid
from bullflow.flow.tree import FlowRequest
from bullflow.wire import JobOptions, Limits, read_flow

LIMITS = Limits(jobs=12, depth=4, data_bytes=60)

budget = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])

texts = st.sampled_from(("", "a", "a:b", "a/b", "~", "~1", "name", "backoff", "type", "opts", "KeepJobs", "\n", "0"))
scalars = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts | st.text()
)
any_json = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts | st.text(), inner, max_size=4)
)

option_names = tuple(field.alias or name for name, field in JobOptions.model_fields.items())
within_options = st.dictionaries(
    st.sampled_from(("type", "delay", "age", "count", "backoff", "x/y")), scalars, max_size=3
)
options = st.dictionaries(st.sampled_from((*option_names, "jobId", "a~b")), within_options | scalars, max_size=4)


def nearly_jobs(children: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Objects that look like jobs and are mostly not quite."""
    return st.fixed_dictionaries(
        {},
        optional={
            "name": st.just("work") | scalars,
            "queueName": st.just("q") | scalars,
            "data": any_json,
            "opts": options | scalars,
            "children": st.lists(children, max_size=3) | scalars,
            "tags": st.lists(texts, max_size=3) | scalars,
            "failFast": scalars,
            "a/b": st.just(1),
        },
    )


nearly_flows = st.recursive(nearly_jobs(scalars), nearly_jobs, max_leaves=12)


def read(body: Any) -> FlowRequest | tuple[Fault, ...]:
    try:
        return read_flow(body, LIMITS)
    except Invalid as invalid:
        return invalid.faults


@budget
@given(any_json)
def test_any_json_is_a_flow_or_has_faults(body: Any) -> None:
    outcome = read(body)

    assert isinstance(outcome, FlowRequest) or outcome
    assert_that_pointers_lead_somewhere(body, outcome)


@budget
@given(nearly_flows)
def test_each_fault_points_into_the_body_or_at_what_is_missing_there(body: Any) -> None:
    assert_that_pointers_lead_somewhere(body, read(body))


def assert_that_pointers_lead_somewhere(body: Any, outcome: FlowRequest | tuple[Fault, ...]) -> None:
    for fault in () if isinstance(outcome, FlowRequest) else outcome:
        above, _, last = fault.pointer.rpartition("/")
        if fault.detail == "is required":
            found = resolve(body, above)
            assert isinstance(found, dict)
            assert unescaped(last) not in found
        else:
            resolve(body, fault.pointer)


def resolve(body: Any, pointer: str) -> Any:
    """RFC 6901; raises when there is nothing at that place."""
    value = body
    for step in pointer.split("/")[1:]:
        assert isinstance(value, dict | list), pointer
        value = value[int(step)] if isinstance(value, list) else value[unescaped(step)]
    return value


def unescaped(step: str) -> str:
    return step.replace("~1", "/").replace("~0", "~")


@budget
@given(nearly_flows)
def test_no_place_is_named_twice_for_the_same_reason(body: Any) -> None:
    outcome = read(body)

    assert isinstance(outcome, FlowRequest) or len(set(outcome)) == len(outcome)
