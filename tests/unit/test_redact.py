"""What is hidden, and that nothing else is."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bullflow.flow.redact import HIDDEN, redacted, rules

NAMES = st.sampled_from(["password", "Token", "a", "b", "a/b", "~"])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=20,
)


@pytest.mark.parametrize(
    ("patterns", "value", "shown"),
    [
        (["password"], {"password": 1, "a": {"PassWord": [1]}}, {"password": HIDDEN, "a": {"PassWord": HIDDEN}}),
        (["password"], ["password", {"a": "password"}], ["password", {"a": "password"}]),
        (["/a/b"], {"a": {"b": 1, "c": 2}, "b": 3}, {"a": {"b": HIDDEN, "c": 2}, "b": 3}),
        (["/a/*/b"], {"a": [{"b": 1}, {"b": 2, "c": 3}]}, {"a": [{"b": HIDDEN}, {"b": HIDDEN, "c": 3}]}),
        (["/a/1"], {"a": [1, 2]}, {"a": [1, HIDDEN]}),
        (["/*"], {"a": 1}, {"a": HIDDEN}),
        (["/a~1b", "/~0"], {"a/b": 1, "~": 2, "a": 3}, {"a/b": HIDDEN, "~": HIDDEN, "a": 3}),
        (["/a", "/a/b"], {"a": {"b": 1}}, {"a": HIDDEN}),
        (["/a/b/c"], {"a": {"b": "text"}}, {"a": {"b": "text"}}),
        (["/a"], "a", "a"),
        ([], {"password": 1}, {"password": 1}),
    ],
)
def test_what_the_patterns_name_is_hidden(patterns: list[str], value: Any, shown: Any) -> None:
    assert redacted(value, rules(patterns)) == shown


@given(VALUES)
def test_under_a_named_key_nothing_is_seen_at_any_depth_and_all_else_is_as_it_was(value: Any) -> None:
    assert _same_but_hidden(value, redacted(value, rules(["password", "TOKEN"])))


def _same_but_hidden(before: Any, after: Any) -> bool:
    if isinstance(before, dict):
        return before.keys() == after.keys() and all(
            after[key] == HIDDEN if key.lower() in ("password", "token") else _same_but_hidden(before[key], after[key])
            for key in before
        )
    if isinstance(before, list):
        return len(before) == len(after) and all(map(_same_but_hidden, before, after))
    return bool(before == after)


@given(VALUES)
def test_without_rules_all_is_seen(value: Any) -> None:
    assert not rules([])
    assert redacted(value, rules([])) == value
