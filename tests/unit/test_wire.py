"""What a flow's body may be, and that everything wrong with it is named at once, each at its place."""

from typing import Any

import pytest

from bullflow.errors import Invalid, Malformed
from bullflow.flow.facts import Json
from bullflow.flow.tree import POLICIES, FlowRequest
from bullflow.wire import MAX_FAULTS, Limits, read_flow, read_json

LIMITS = Limits(jobs=10_000, depth=100, data_bytes=1024 * 1024)
JOB: dict[str, Any] = {"name": "work", "queueName": "q"}


def faults_of(body: Any, limits: Limits = LIMITS) -> dict[str, str]:
    with pytest.raises(Invalid) as caught:
        read_flow(body, limits)
    return {fault.pointer: fault.detail for fault in caught.value.faults}


def read(limits: Limits = LIMITS, **keys: Any) -> FlowRequest:
    return read_flow({**JOB, **keys}, limits)


# --- what is taken ----------------------------------------------------------------------------------


def test_a_flow_is_read_as_it_was_asked_for() -> None:
    request = read(
        data={"text": "hello"},
        opts={"attempts": 3, "backoff": {"type": "exponential", "delay": 100}},
        children=[{"name": "first", "queueName": "other", "data": 1}, JOB],
        failFast=True,
        deadline=60_000,
        tags=["night", "video", "night"],
    )

    root = request.root
    assert (root.name, root.queue_name, root.data) == ("work", "q", Json('{"text":"hello"}'))
    assert root.opts == {"attempts": 3, "backoff": {"type": "exponential", "delay": 100}}
    assert [(child.name, child.queue_name, child.data) for child in root.children] == [
        ("first", "other", Json("1")),
        ("work", "q", Json("{}")),
    ]
    assert (request.fail_fast, request.deadline, request.tags) == (True, 60_000, ("night", "video"))


def test_name_and_queue_are_enough() -> None:
    request = read()

    assert (request.root.data, request.root.opts, request.root.children) == (Json("{}"), {}, ())
    assert (request.fail_fast, request.deadline, request.tags) == (False, None, ())


def test_a_child_without_a_policy_fails_its_parent() -> None:
    child = read(children=[{**JOB, "opts": {"attempts": 2}}]).root.children[0]

    assert child.opts == {"attempts": 2, "failParentOnFailure": True}


@pytest.mark.parametrize("policy", POLICIES)
def test_a_policy_is_kept_alone(policy: str) -> None:
    assert read(children=[{**JOB, "opts": {policy: True}}]).root.children[0].opts == {policy: True}


def test_a_bare_false_is_kept() -> None:
    child = read(children=[{**JOB, "opts": {"failParentOnFailure": False}}]).root.children[0]

    assert child.opts == {"failParentOnFailure": False}


def test_an_option_that_is_null_was_not_given() -> None:
    child = read(children=[{**JOB, "opts": {"delay": None, "failParentOnFailure": None}}]).root.children[0]

    assert child.opts == {"failParentOnFailure": True}


def test_whole_numbers_are_integers_however_they_are_written() -> None:
    request = read(
        data=3.0, opts={"attempts": 3.0, "backoff": {"type": "fixed", "delay": 5e3}, "removeOnFail": 1.0}, deadline=6e4
    )

    assert repr(request.root.opts) == repr(
        {"attempts": 3, "backoff": {"type": "fixed", "delay": 5000}, "removeOnFail": 1}
    )
    assert (repr(request.deadline), request.root.data) == ("60000", Json("3.0"))
    assert set(faults_of({**JOB, "opts": {"attempts": 2.5, "delay": 1e300}})) == {"/opts/attempts", "/opts/delay"}


@pytest.mark.parametrize("text", ["null", "false", "0", '""', "[]", '"text"', "[1,2,[3]]", "-1.5", '{"a":{"b":null}}'])
def test_data_is_any_json(text: str) -> None:
    assert read(data=read_json(text)).root.data == Json(text)


@pytest.mark.parametrize("number", [2**53 + 1, 2**63 - 1, 2**64 - 1, -(2**63)])
def test_integers_keep_every_digit_up_to_64_bits(number: int) -> None:
    assert read(data=read_json(f"{number}")).root.data == Json(f"{number}")


def test_deep_data_is_kept() -> None:
    text = "[" * 250 + "]" * 250

    assert read(data=read_json(text)).root.data == Json(text)


def test_ten_thousand_jobs_are_taken() -> None:
    assert len(read(children=[JOB] * 9_999).root.children) == 9_999


def test_a_flow_is_taken_at_its_limits_and_not_beyond() -> None:
    limits = Limits(jobs=3, depth=3, data_bytes=5)
    flow = {**JOB, "children": [{**JOB, "children": [{**JOB, "data": "abc"}]}]}

    assert read_flow(flow, limits).root.children[0].children[0].data == Json('"abc"')
    assert faults_of(flow, Limits(jobs=2, depth=3, data_bytes=5)) == {
        "/children/0/children/0": "a flow may have at most 2 jobs"
    }
    assert faults_of(flow, Limits(jobs=3, depth=2, data_bytes=5)) == {
        "/children/0/children/0": "a flow may be at most 2 levels deep"
    }
    assert faults_of(flow, Limits(jobs=3, depth=3, data_bytes=4)) == {
        "/children/0/children/0/data": "is 5 bytes; a job's data may have 4"
    }


def test_a_flow_as_deep_as_settings_allow_is_read() -> None:
    body = dict(JOB)
    for _ in range(119):
        body = {**JOB, "children": [body]}

    assert read_flow(body, Limits(jobs=120, depth=120, data_bytes=10)).root.name == "work"


# --- what is refused --------------------------------------------------------------------------------


@pytest.mark.parametrize("body", [None, 7, "flow", [], [JOB], True])
def test_what_is_no_object_is_refused(body: Any) -> None:
    assert faults_of(body) == {"": "must be an object with at least name and queueName"}


def test_what_is_missing_is_named() -> None:
    assert faults_of({}) == {"/name": "is required", "/queueName": "is required"}


def test_every_fault_of_the_whole_tree_is_named_at_once() -> None:
    body = {
        "queueName": "a:b",
        "colour": "red",
        "data": "x" * 100,
        "tags": "night",
        "opts": {"attempts": -1, "jobId": "7", "failParentOnFailure": True, "ignoreDependencyOnFailure": True},
        "children": [
            JOB,
            "download",
            {**JOB, "children": {"name": "x"}},
            {**JOB, "name": "", "children": [{**JOB, "opts": {"backoff": {"type": "sometimes", "delay": 1}}}]},
        ],
    }

    assert set(faults_of(body, Limits(jobs=10, depth=5, data_bytes=50))) == {
        "/name",
        "/queueName",
        "/colour",
        "/data",
        "/tags",
        "/opts",
        "/opts/attempts",
        "/opts/jobId",
        "/children/1",
        "/children/2/children",
        "/children/3/name",
        "/children/3/children/0/opts/backoff/type",
    }


@pytest.mark.parametrize(
    "option", ["parent", "jobId", "repeat", "deduplication", "debounce", "prefix", "fpof", "x/y~z"]
)
def test_an_option_that_is_not_safe_in_a_flow_is_named(option: str) -> None:
    pointer = f"/children/0/opts/{option.replace('~', '~0').replace('/', '~1')}"

    assert faults_of({**JOB, "children": [{**JOB, "opts": {option: "1"}}]}) == {pointer: "is not known here"}


@pytest.mark.parametrize(
    "opts",
    [
        {"attempts": -1},
        {"attempts": 0},
        {"attempts": 2.5},
        {"attempts": "3"},
        {"attempts": True},
        {"attempts": 2**70},
        {"delay": -1},
        {"priority": 2**21},
        {"lifo": "yes"},
        {"timeout": 0},
        {"keepLogs": -1},
        {"stackTraceLimit": "all"},
        {"sizeLimit": 1.5},
        {"removeOnComplete": -1},
        {"removeOnFail": "never"},
        {"backoff": -1},
        {"backoff": "1s"},
        {"backoff": []},
        {"failParentOnFailure": 1},
        {"timestamp": "now"},
    ],
)
def test_an_option_with_a_wrong_value_is_named(opts: dict[str, Any]) -> None:
    assert set(faults_of({**JOB, "opts": opts})) == {f"/opts/{next(iter(opts))}"}


@pytest.mark.parametrize(
    ("opts", "pointers"),
    [
        ({"backoff": {"type": "sometimes", "delay": 1}}, {"/opts/backoff/type"}),
        ({"backoff": {}}, {"/opts/backoff/type", "/opts/backoff/delay"}),
        ({"backoff": {"type": "fixed", "delay": -1, "jitter": 2}}, {"/opts/backoff/delay", "/opts/backoff/jitter"}),
        ({"backoff": {"type": "fixed", "delay": 1, "backoff": 1}}, {"/opts/backoff/backoff"}),
        ({"removeOnFail": {"age": "1h", "days": 1}}, {"/opts/removeOnFail/age", "/opts/removeOnFail/days"}),
    ],
)
def test_what_is_wrong_within_an_option_is_named_where_it_is(opts: dict[str, Any], pointers: set[str]) -> None:
    assert set(faults_of({**JOB, "opts": opts})) == pointers


def test_a_value_that_no_form_of_an_option_takes_is_told_all_forms() -> None:
    found = faults_of({**JOB, "opts": {"backoff": "1s", "removeOnFail": -1}})

    assert "milliseconds" in found["/opts/backoff"]
    assert "an object with type and delay" in found["/opts/backoff"]
    assert "a number of jobs" in found["/opts/removeOnFail"]


def test_two_policies_exclude_each_other() -> None:
    opts = {"failParentOnFailure": True, "continueParentOnFailure": True, "ignoreDependencyOnFailure": False}

    assert faults_of({**JOB, "children": [{**JOB, "opts": opts}]}) == {
        "/children/0/opts": "failParentOnFailure and continueParentOnFailure exclude each other"
    }


@pytest.mark.parametrize("name", ["", "a:b", "a{b", "a}b", "a\nb", "a\x00", "\x7f", "x" * 129, 5, None])
def test_a_queue_name_that_could_reach_other_keys_is_refused(name: Any) -> None:
    assert set(faults_of({**JOB, "queueName": name})) == {"/queueName"}


@pytest.mark.parametrize("name", ["", "a\tb", "x" * 201, ["a"]])
def test_a_job_name_that_cannot_be_shown_is_refused(name: Any) -> None:
    assert set(faults_of({**JOB, "name": name})) == {"/name"}


@pytest.mark.parametrize("name", ["a:b{c}", "Bühne 7", "🎬", "x" * 200])
def test_a_job_name_is_otherwise_free(name: str) -> None:
    assert read(name=name).root.name == name


@pytest.mark.parametrize(
    ("tags", "pointer"),
    [
        (["x"] * 21, "/tags"),
        ("x", "/tags"),
        (None, "/tags"),
        (["ok", ""], "/tags/1"),
        (["x" * 65], "/tags/0"),
        ([7], "/tags/0"),
        (["a\nb"], "/tags/0"),
    ],
)
def test_tags_are_up_to_twenty_short_strings(tags: Any, pointer: str) -> None:
    assert set(faults_of({**JOB, "tags": tags})) == {pointer}


@pytest.mark.parametrize("option", [{"failFast": True}, {"deadline": 5}, {"tags": []}])
def test_the_flows_own_options_belong_to_the_root(option: dict[str, Any]) -> None:
    [key] = option

    assert faults_of({**JOB, "children": [{**JOB, **option}]}) == {f"/children/0/{key}": "is not known here"}


@pytest.mark.parametrize("option", [{"failFast": None}, {"failFast": 1}, {"deadline": 0}, {"deadline": "1h"}])
def test_the_flows_own_options_have_one_type(option: dict[str, Any]) -> None:
    assert set(faults_of({**JOB, **option})) == {f"/{next(iter(option))}"}


@pytest.mark.parametrize("children", ["x", {}, None, 3, JOB])
def test_children_are_a_list(children: Any) -> None:
    assert set(faults_of({**JOB, "children": children})) == {"/children"}


def test_opts_are_an_object() -> None:
    assert faults_of({**JOB, "opts": "attempts"}) == {"/opts": "must be an object"}


def test_too_many_faults_are_cut_off_and_that_is_said() -> None:
    with pytest.raises(Invalid) as caught:
        read_flow({**JOB, "children": ["x"] * 500}, LIMITS)

    assert len(caught.value.faults) == MAX_FAULTS + 1
    assert caught.value.faults[-1].detail == "only the first 100 faults are shown"


def test_of_far_too_many_jobs_only_one_fault_is_made() -> None:
    assert list(faults_of({**JOB, "children": [JOB] * 50}, Limits(jobs=10, depth=3, data_bytes=10))) == ["/children/9"]


def test_data_that_json_cannot_hold_is_refused() -> None:
    nested: Any = []
    for _ in range(300):
        nested = [nested]

    assert set(faults_of({**JOB, "data": nested})) == {"/data"}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"NaN",
        b"[Infinity]",
        b"1e400",
        b'{"name": "a",}',
        b"\xff",
        b'"\xc3"',
        b'"\\ud800"',
        b"[" * 2000,
        b"'a'",
    ],
)
def test_what_is_not_json_is_malformed(body: bytes) -> None:
    with pytest.raises(Malformed, match="not JSON"):
        read_json(body)
