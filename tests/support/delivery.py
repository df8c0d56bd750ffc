"""The ways in which a history may arrive: whole and in order, or as badly as streams and crashes allow."""

from collections import defaultdict
from collections.abc import Sequence
from random import Random

from bullflow.flow.facts import Fact, FactId, FactKind
from bullflow.flow.tree import run_id
from support.histories import START, History


def in_batches(facts: Sequence[Fact], chance: Random) -> list[list[Fact]]:
    """The same facts in the same order, in up to eight batches."""
    cuts = sorted(chance.choices(range(len(facts) + 1), k=chance.randrange(8)))
    return [list(facts[begin:end]) for begin, end in zip([0, *cuts], [*cuts, len(facts)], strict=True)]


def by_millisecond(facts: Sequence[Fact]) -> list[list[Fact]]:
    """The same facts, a batch for each millisecond."""
    batches: defaultdict[int, list[Fact]] = defaultdict(list)
    for fact in facts:
        batches[fact.at].append(fact)
    return [batches[at] for at in sorted(batches)]


def in_disorder(history: History, chance: Random) -> list[list[Fact]]:
    """As bad as it gets: facts dropped, repeated, late, shuffled, and those of strangers among them."""
    drops, repeats, late = (chance.choice((0.0, 0.1, 0.4)) for _ in range(3))
    batches = in_batches([fact for fact in history.facts if chance.random() >= drops], chance)
    for place, batch in enumerate(batches):
        for fact in list(batch):
            if chance.random() < late:
                batch.remove(fact)
                chance.choice(batches[place:]).append(fact)
            if chance.random() < repeats:
                chance.choice(batches[place:]).append(fact)
        batch.extend(_strangers(history, chance))
        chance.shuffle(batch)
    return batches


def _strangers(history: History, chance: Random) -> list[Fact]:
    """Facts of older runs and of jobs that nobody knows."""
    names = [run_id(job.id, int(job.job_id.rpartition("-")[2]) - 1) for job in history.jobs]
    return [
        Fact(
            id=FactId(START + chance.randrange(500), chance.randrange(50)),
            kind=chance.choice(tuple(FactKind)),
            job_id=chance.choice([*names, "repeat:5", "", "17"]),
            reason=chance.choice((None, "zombie")),
        )
        for _ in range(chance.randrange(4))
    ]
