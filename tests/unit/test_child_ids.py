"""The ids of children that a running job adds: from nothing but what stays the same when it is run again."""

from uuid import RFC_4122, UUID

from hypothesis import given
from hypothesis import strategies as st

from bullflow.engine.delivery import Delivery
from bullflow.engine.envelope import Envelope
from bullflow.engine.growth import child_id
from bullflow.engine.keys import OURS

PARENT = "0192f0c1-2d3e-7abc-9def-0123456789ab"


def a_parent(*, run: int = 1, children: int = 0, parent: str = PARENT, token: str = "token") -> Delivery:
    return Delivery(
        job_id=f"{parent}-{run}",
        token=token,
        name="root",
        queue_name="q",
        data={},
        opts={},
        envelope=Envelope(id=parent, flow_id="f", children={"a": tuple(str(n) for n in range(children))}),
        attempts_made=0,
    )


@given(st.uuids().map(str), st.integers(1, 9), st.integers(0, 100_000))
def test_an_id_is_one_that_bullflow_makes(parent: str, run: int, place: int) -> None:
    made = child_id(a_parent(parent=parent, run=run), place)

    assert OURS.fullmatch(f"{made}-1")
    assert (UUID(made).version, UUID(made).variant) == (8, RFC_4122)
    assert made[:13] == parent[:13]


def test_another_run_of_the_same_phase_makes_the_same_ids() -> None:
    assert child_id(a_parent(token="one"), 3) == child_id(a_parent(token="another"), 3)


def test_every_place_of_every_phase_of_every_run_has_its_own_id() -> None:
    made = {
        child_id(a_parent(run=run, children=children), place)
        for run in (1, 2, 11)
        for children in (0, 1, 10)
        for place in (0, 1, 10, 101)
    }

    assert len(made) == 3 * 3 * 4
