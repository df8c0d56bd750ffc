"""What is read from many streams at once comes out in such batches that no queue's news overtakes another's."""

from collections.abc import Mapping, Sequence

from hypothesis import given
from hypothesis import strategies as st

from bullflow.engine.stream import RawEntry, until_horizon
from bullflow.flow.facts import FactId

Streams = Mapping[str, Sequence[FactId]]
Batches = list[dict[str, list[FactId]]]


@st.composite
def streams(draw: st.DrawFn) -> Streams:
    """One to four streams with ids that grow; much happens in the same millisecond."""
    return {
        name: sorted(draw(st.sets(st.builds(FactId, st.integers(1, 12), st.integers(0, 3)), max_size=30)))
        for name in draw(st.sets(st.sampled_from("abcd"), min_size=1))
    }


def read_all(known: Streams, count: int) -> Batches:
    """Read as the recorder does, from where the last batch ended, until there is nothing more."""
    batches: Batches = []
    at = dict.fromkeys(known, FactId(0, 0))
    while answer := _xread(known, at, count):
        batch = {queue: [key for key, _ in entries] for queue, entries in until_horizon(answer, count).items()}
        assert any(batch.values()), "a read that gives nothing would be repeated for ever"
        at.update({queue: keys[-1] for queue, keys in batch.items() if keys})
        batches.append(batch)
    return batches


def _xread(known: Streams, at: Mapping[str, FactId], count: int) -> dict[str, list[RawEntry]]:
    """XREAD: of each stream the first entries behind its position; streams without any are left out."""
    behind = {queue: [key for key in keys if key > at[queue]][:count] for queue, keys in known.items()}
    return {queue: [(str(key), {"n": str(key)}) for key in keys] for queue, keys in behind.items() if keys}


@given(streams(), st.integers(1, 8))
def test_every_entry_comes_out_once_and_in_its_stream_s_order(known: Streams, count: int) -> None:
    batches = read_all(known, count)

    assert {queue: [key for batch in batches for key in batch.get(queue, ())] for queue in known} == known


@given(streams(), st.integers(1, 8))
def test_no_entry_overtakes_one_of_another_stream_from_an_earlier_millisecond(known: Streams, count: int) -> None:
    newest = 0
    for batch in read_all(known, count):
        instants = [key.ms for keys in batch.values() for key in keys]
        assert min(instants) >= newest
        newest = max(instants)


@given(streams())
def test_what_fits_in_one_read_is_one_batch(known: Streams) -> None:
    assert len(read_all(known, 1_000)) <= 1


def test_a_full_stream_holds_back_the_others() -> None:
    child: list[RawEntry] = [("10-0", {}), ("20-0", {})]
    parent: list[RawEntry] = [("15-0", {}), ("25-0", {})]

    kept = until_horizon({"children": child, "parents": parent, "quiet": [("5-0", {})]}, count=2)

    assert kept == {
        "children": [(FactId(10, 0), {})],
        "parents": [(FactId(15, 0), {})],
        "quiet": [(FactId(5, 0), {})],
    }


def test_more_entries_in_one_millisecond_than_one_read_gives_are_let_through() -> None:
    kept = until_horizon({"a": [("7-0", {}), ("7-1", {})], "b": [("7-0", {}), ("8-0", {})]}, count=2)

    assert kept == {"a": [(FactId(7, 0), {}), (FactId(7, 1), {})], "b": [(FactId(7, 0), {})]}


def test_nothing_is_nothing() -> None:
    assert until_horizon({}, count=2) == {}
