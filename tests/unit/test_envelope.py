"""What bullflow tells its own worker: sealed by the producer, read by the worker, safe from whatever lies there."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from bullflow.engine.delivery import read_delivery
from bullflow.engine.envelope import KEY, VERSION, Child, Envelope, seal, unseal, with_grown, with_grown_settled
from support.queues import completed, tree

ANYTHING: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
OURS = st.fixed_dictionaries(
    {"v": st.just(VERSION)}, optional=dict.fromkeys(("flow", "id", "timeout", "children", "order", "grown"), ANYTHING)
)
FIELDS = ("name", "data", "opts", "atm", "ats", "timestamp", "stacktrace", "defa")


def test_what_is_sealed_is_what_a_worker_reads() -> None:
    ended = completed("a", 1)
    branch = tree("root", tree("a"), tree("b"), tree("a"), ended=[ended], timeout=2000)
    first, second, third = (child.job.job_id for child in branch.children)

    envelope = unseal(seal(branch, 60))

    assert envelope == Envelope(
        flow_id=branch.job.flow_id,
        id=branch.job.id,
        timeout_ms=2000,
        children={"a": (first, third, ended.job_id), "b": (second,)},
        order=(("a", 1), ("b", 1), ("a", 2)),
    )
    assert envelope.in_order == (("a", first), ("b", second), ("a", third), ("a", ended.job_id))


def test_what_was_asked_for_stays_beside_the_envelope() -> None:
    sealed = seal(tree("root", attempts=3, removeOnFail=True, timeout=5), 60)

    assert sealed["attempts"] == 3
    assert (sealed["removeOnComplete"], sealed["removeOnFail"]) == ({"age": 60, "limit": 0},) * 2
    assert "timeout" not in sealed


def test_a_job_without_children_carries_none() -> None:
    assert "children" not in seal(tree("leaf"), 60)[KEY]


def test_children_of_one_name_need_no_order() -> None:
    sealed = seal(tree("root", tree("a"), tree("a")), 60)

    assert "order" not in sealed[KEY]
    assert [name for name, _ in unseal(sealed).in_order] == ["a", "a"]


CHILDREN: st.SearchStrategy[list[Child]] = st.lists(
    st.tuples(st.sampled_from("abc"), st.uuids().map(str)), max_size=12, unique_by=lambda child: child[1]
)


@given(CHILDREN, CHILDREN, CHILDREN)
def test_children_that_were_added_stand_apart_until_their_parent_has_waited_for_them(
    before: list[Child], first: list[Child], second: list[Child]
) -> None:
    opts = with_grown_settled(with_grown(seal(tree("root", attempts=3), 60), before))

    grown = with_grown(with_grown(opts, first), second)
    settled = with_grown_settled(grown)

    assert unseal(grown).in_order == tuple(before)
    assert unseal(grown).grown == (*first, *second)
    assert unseal(settled).in_order == (*before, *first, *second)
    assert unseal(settled).grown == ()
    assert settled["attempts"] == 3
    assert with_grown_settled(settled) == settled


def test_an_order_that_does_not_fit_is_made_up_for() -> None:
    own = {"v": VERSION, "children": {"a": ["1", "2"], "b": ["3"]}}

    def in_order(order: Any) -> str:
        return "".join(job_id for _, job_id in unseal({KEY: {**own, "order": order}}).in_order)

    assert in_order([["b", 1], ["a", 2]]) == "312"
    assert in_order([["b", 7], ["c", 1]]) == "312"
    assert in_order([["a", 1], ["b"], 5, ["b", "x"]]) == "123"
    assert in_order("nonsense") == "123"


def test_another_version_is_not_read() -> None:
    sealed = seal(tree("root"), 60)
    sealed[KEY]["v"] = VERSION + 1

    assert unseal(sealed) == Envelope()


@given(st.dictionaries(st.text(max_size=8), ANYTHING) | st.fixed_dictionaries({KEY: ANYTHING | OURS}))
def test_whatever_lies_there_is_read_or_left_out(opts: dict[str, Any]) -> None:
    envelope = unseal(opts)

    assert envelope.flow_id is None or isinstance(envelope.flow_id, str)
    assert envelope.id is None or isinstance(envelope.id, str)
    assert envelope.timeout_ms is None or (type(envelope.timeout_ms) is int and envelope.timeout_ms > 0)
    assert all(isinstance(job_id, str) for ids in envelope.children.values() for job_id in ids)
    assert len(envelope.in_order) == sum(len(ids) for ids in envelope.children.values())
    assert all(isinstance(part, str) for child in envelope.grown for part in child)


NUMBERS = st.integers().map(str) | st.floats().map(str)
JSON_LIKE = st.sampled_from(
    ["{", "[1]", '{"fpof": true}', '{"bullflow": {"v": 1, "children": {"a": 1}}}', "NaN", '"a"']
)


@given(st.dictionaries(st.sampled_from(FIELDS), st.text(max_size=20) | JSON_LIKE | NUMBERS))
def test_no_hash_of_a_job_is_too_strange_to_be_taken(fields: dict[str, str]) -> None:
    """A job that any producer has put there must not bring down the worker that takes it."""
    delivery = read_delivery("q", "1", "t", fields)

    assert delivery.attempts >= 1
    assert delivery.attempts_made >= 0
