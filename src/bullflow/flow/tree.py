"""A flow as it was asked for, and as it is laid out before it is stored."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from bullflow.flow.facts import Json
from bullflow.flow.states import JobStatus, first_status

ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
"""The id of a flow or of a job: a UUID as bullflow writes it."""


class Policy(StrEnum):
    """What a job's final failure means for its parent."""

    FAIL = "fail"
    """The parent fails, at once."""
    IGNORE = "ignore"
    """The parent runs when its other children are done, and is told of the failure."""
    REMOVE = "remove"
    """The parent runs when its other children are done, and is not told."""
    CONTINUE = "continue"
    """The parent runs at once, and is told."""
    WAIT = "wait"
    """BullMQ's bare behaviour: the parent waits, which here ends the flow."""


FAILS_PARENT = frozenset({Policy.FAIL, Policy.WAIT})
"""After such a child's failure its parent can only fail."""
TELLS_PARENT = frozenset({Policy.IGNORE, Policy.CONTINUE})
"""The parent runs all the same, and is told why the child failed."""


def policy_of(opts: Mapping[str, Any]) -> Policy:
    """The policy that a child's options name; at most one of them is true."""
    return next((policy for policy, name in _BY_POLICY.items() if opts.get(name)), Policy.WAIT)


_BY_POLICY: Mapping[Policy, str] = {
    Policy.FAIL: "failParentOnFailure",
    Policy.IGNORE: "ignoreDependencyOnFailure",
    Policy.REMOVE: "removeDependencyOnFailure",
    Policy.CONTINUE: "continueParentOnFailure",
}
POLICIES = tuple(_BY_POLICY.values())
"""The options of BullMQ that name a policy."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """One job of a request: a handler's name, a queue, its data as JSON, its BullMQ options."""

    name: str
    queue_name: str
    data: Json
    opts: Mapping[str, Any]
    children: tuple["Node", ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowRequest:
    """What a client asks for. `deadline` is in milliseconds from creation."""

    root: Node
    fail_fast: bool = False
    deadline: int | None = None
    tags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class NewJob:
    """A job with its id and its place in the tree. `position` counts from 0, parents before children."""

    id: str
    parent_id: str | None
    position: int
    depth: int
    node: Node
    status: JobStatus

    @property
    def job_id(self) -> str:
        return run_id(self.id, 1)

    @property
    def policy(self) -> Policy:
        """A root's failure is the flow's."""
        return Policy.FAIL if self.parent_id is None else policy_of(self.node.opts)


def run_id(job: str, run: int) -> str:
    """The BullMQ id of one run of a job."""
    return f"{job}-{run}"


def lay_out(root: Node, new_id: Callable[[], str]) -> list[NewJob]:
    """The jobs of a tree in tree order, each with an id."""
    return list(_lay_out(root, new_id))


def _lay_out(root: Node, new_id: Callable[[], str]) -> Iterator[NewJob]:
    stack: list[tuple[Node, str | None, int]] = [(root, None, 0)]
    position = 0
    while stack:
        node, parent_id, depth = stack.pop()
        job = NewJob(
            id=new_id(),
            parent_id=parent_id,
            position=position,
            depth=depth,
            node=node,
            status=first_status(
                has_children=bool(node.children),
                delay=node.opts.get("delay", 0),
                priority=node.opts.get("priority", 0),
            ),
        )
        yield job
        position += 1
        stack.extend((child, job.id, depth + 1) for child in reversed(node.children))


def with_policy(opts: Mapping[str, Any], *, is_root: bool) -> Mapping[str, Any]:
    """A child's options with the policy that lets flows end, where the request named none.

    Only `failParentOnFailure` itself can refuse it: another policy that is false is none.
    """
    if is_root or "failParentOnFailure" in opts or any(opts.get(policy) for policy in POLICIES):
        return opts
    return {**opts, "failParentOnFailure": True}
