"""A request laid out as jobs: order, places, first states, policies."""

from collections.abc import Callable
from itertools import count
from typing import Any

import pytest

from bullflow.flow.facts import Json
from bullflow.flow.states import JobStatus
from bullflow.flow.tree import POLICIES, Node, lay_out, run_id, with_policy


def a_node(name: str, *children: Node, **opts: Any) -> Node:
    return Node(name=name, queue_name="q", data=Json("{}"), opts=opts, children=children)


def ids() -> Callable[[], str]:
    numbers = count(1)
    return lambda: f"id{next(numbers)}"


def test_jobs_come_in_tree_order_parents_before_children_and_siblings_as_asked_for() -> None:
    root = a_node("root", a_node("a", a_node("a1"), a_node("a2")), a_node("b"))

    jobs = lay_out(root, ids())

    assert [(job.node.name, job.id, job.parent_id, job.position, job.depth) for job in jobs] == [
        ("root", "id1", None, 0, 0),
        ("a", "id2", "id1", 1, 1),
        ("a1", "id3", "id2", 2, 2),
        ("a2", "id4", "id2", 3, 2),
        ("b", "id5", "id1", 4, 1),
    ]


def test_a_job_begins_in_the_state_that_its_options_and_children_give() -> None:
    root = a_node("root", a_node("now"), a_node("later", delay=5, priority=1), a_node("first", priority=1), delay=9)

    assert [job.status for job in lay_out(root, ids())] == [
        JobStatus.WAITING_CHILDREN,
        JobStatus.WAITING,
        JobStatus.DELAYED,
        JobStatus.PRIORITIZED,
    ]


def test_the_bullmq_id_names_the_run() -> None:
    [job] = lay_out(a_node("root"), ids())

    assert (job.job_id, run_id(job.id, 2)) == ("id1-1", "id1-2")


def test_a_tree_much_deeper_than_the_interpreters_stack_is_laid_out() -> None:
    root = a_node("leaf")
    for _ in range(5_000):
        root = a_node("level", root)

    assert [job.depth for job in lay_out(root, ids())] == list(range(5_001))


def test_a_child_without_a_policy_fails_its_parent() -> None:
    assert with_policy({"attempts": 3}, is_root=False) == {"attempts": 3, "failParentOnFailure": True}


def test_a_root_needs_no_policy() -> None:
    assert with_policy({"attempts": 3}, is_root=True) == {"attempts": 3}


@pytest.mark.parametrize("policy", POLICIES)
def test_a_policy_that_was_chosen_stays_the_only_one(policy: str) -> None:
    assert with_policy({policy: True}, is_root=False) == {policy: True}


def test_a_bare_false_gives_bullmqs_own_behaviour() -> None:
    assert with_policy({"failParentOnFailure": False}, is_root=False) == {"failParentOnFailure": False}


@pytest.mark.parametrize("policy", [policy for policy in POLICIES if policy != "failParentOnFailure"])
def test_another_policy_that_is_switched_off_is_none(policy: str) -> None:
    assert with_policy({policy: False}, is_root=False) == {policy: False, "failParentOnFailure": True}


def test_options_that_were_asked_for_are_not_changed_in_place() -> None:
    opts = {"attempts": 3}

    with_policy(opts, is_root=False)

    assert opts == {"attempts": 3}
