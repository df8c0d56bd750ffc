"""What was accepted goes to whoever dispatches: once, soon, and never more than memory can bear."""

from collections.abc import Sequence
from itertools import count
from typing import Any

import pytest

from bullflow import handover as handover_module
from bullflow.clock import milliseconds
from bullflow.flow.plan import Branch
from bullflow.flow.tree import FlowRequest, lay_out
from bullflow.handover import AT_MOST, Handover
from bullflow.store.flows import NewFlow
from support.flows import START, HandClock, node, wide

_ids = count(1)


def a_flow(children: int = 0, **more: Any) -> NewFlow:
    root = node("root", **more) if children == 0 else wide(children)
    jobs = lay_out(root, lambda: f"job-{next(_ids)}")
    request = FlowRequest(root=root)
    return NewFlow(id=f"flow-{next(_ids)}", user_id="user", request=request, jobs=jobs, created_at=START)


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def handover(clock: HandClock) -> Handover:
    opened = Handover(clock)
    opened.open()
    return opened


def taken(handover: Handover, flows: Sequence[NewFlow]) -> list[bool]:
    return [handover.take(flow.id) is not None for flow in flows]


def test_a_flow_is_handed_over_whole(handover: Handover) -> None:
    flow = a_flow(children=2)
    handover.give([flow])

    branch = handover.take(flow.id)

    assert isinstance(branch, Branch)
    assert [job.job_id for job in branch.jobs()] == [job.job_id for job in flow.jobs]
    assert {(job.flow_id, job.created_at, job.run) for job in branch.jobs()} == {(flow.id, START, 1)}


def test_it_is_handed_over_once(handover: Handover) -> None:
    flow = a_flow()
    handover.give([flow])

    assert taken(handover, [flow, flow]) == [True, False]


@pytest.mark.parametrize(
    ("late", "is_taken"), [(0, True), (milliseconds(AT_MOST), True), (milliseconds(AT_MOST) + 1, False), (-1, False)]
)
def test_it_is_handed_over_soon_or_never(handover: Handover, clock: HandClock, late: int, is_taken: bool) -> None:
    flow = a_flow()
    handover.give([flow])
    clock.now += late

    assert taken(handover, [flow]) == [is_taken]


def test_nothing_is_kept_while_nobody_takes_it(clock: HandClock) -> None:
    handover, flows = Handover(clock), [a_flow(), a_flow(), a_flow()]

    handover.give(flows[:1])
    handover.open()
    handover.give(flows[1:2])
    handover.close()
    handover.give(flows[2:])

    assert taken(handover, flows) == [False, False, False]


def test_what_was_given_can_be_forgotten(handover: Handover) -> None:
    before, after = a_flow(), a_flow()

    handover.give([before])
    handover.forget()
    handover.give([after])

    assert taken(handover, [before, after]) == [False, True]


def test_what_is_too_much_is_left_to_the_store(handover: Handover, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handover_module, "MOST_JOBS", 5)
    flows = [a_flow(children=2), a_flow(children=2), a_flow(children=1)]
    handover.give(flows)

    assert taken(handover, flows) == [True, False, True]
    handover.give(flows[:1])  # there is room again
    assert taken(handover, flows[:1]) == [True]


def test_so_is_what_is_too_large(handover: Handover, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handover_module, "MOST_DATA", 10)
    flows = [a_flow(data="12345678"), a_flow(data="123"), a_flow(data="12")]
    handover.give(flows)

    assert taken(handover, flows) == [True, False, True]


def test_what_nobody_came_for_makes_room(handover: Handover, clock: HandClock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handover_module, "MOST_JOBS", 1)
    old, new = a_flow(), a_flow()
    handover.give([old])
    clock.now += milliseconds(AT_MOST) + 1

    handover.give([new])

    assert taken(handover, [old, new]) == [False, True]
