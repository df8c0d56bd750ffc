"""A parent's view of its children, by their names."""

import pytest

from bullflow.worker.children import Children


def test_a_child_s_value_is_found_by_its_name() -> None:
    children = Children({"a": ("1",), "b": ("2",)}, {"1": {"x": 1}, "2": None}, {})

    assert children["a"] == {"x": 1}
    assert children["b"] is None
    assert dict(children) == {"a": {"x": 1}, "b": None}
    assert len(children) == 2


def test_of_several_children_of_a_name_the_first_is_meant_and_all_can_be_had() -> None:
    children = Children({"a": ("3", "1", "2")}, {"1": "one", "2": "two", "3": "three"}, {})

    assert children["a"] == "three"
    assert children.all("a") == ("three", "one", "two")


def test_a_name_that_no_child_has_is_a_key_error() -> None:
    children = Children({"a": ("1",)}, {"1": 1}, {})

    with pytest.raises(KeyError, match="b"):
        children["b"]
    assert "b" not in children
    assert children.get("b", "none") == "none"
    assert children.all("b") == ()


def test_children_that_failed_and_are_to_be_ignored_stand_aside() -> None:
    children = Children({"a": ("1", "2", "3"), "b": ("4",)}, {"2": "two"}, {"1": "broken", "3": "lost", "4": "late"})

    assert children["a"] == "two"
    assert children.all("a") == ("two",)
    assert "b" not in children
    assert children.failures == {"a": ["broken", "lost"], "b": ["late"]}


def test_values_of_jobs_that_are_no_children_are_not_shown() -> None:
    assert dict(Children({}, {"1": 1}, {"2": "broken"})) == {}
    assert Children({}, {"1": 1}, {"2": "broken"}).failures == {}


def test_failures_can_be_asked_for_again_after_they_were_changed() -> None:
    children = Children({"a": ("1",)}, {}, {"1": "broken"})
    children.failures.clear()

    assert children.failures == {"a": ["broken"]}
