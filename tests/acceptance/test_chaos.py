"""A short seed of `make chaos`, and whether the ring itself can tell right from wrong."""

from collections.abc import Sequence
from typing import Any

import pytest
from chaos import notes, oracle, ring, schedule, shapes
from chaos.findings import find
from chaos.schedule import Fault
from chaos.stage import Stage, Wish, has_node, own_folder, possible

SEED = 20
FLOWS = 40
HASTE = 4
KINDS = (
    "kill-api",
    "kill-recorder",
    "kill-worker",
    "kill-engine",
    "kill-database",
    "stop-recorder",
    "flush-engine",
    "rollback-engine",
)


@pytest.mark.parametrize("database", ["sqlite", "postgres"])
async def test_nothing_is_lost_repeated_or_wrong_whatever_is_killed_stopped_or_wiped(database: str) -> None:
    known = schedule.kinds(possible("many", database))
    kinds = [kind for kind in KINDS if kind in known]

    def plan(stage: Stage) -> Sequence[Fault]:
        return schedule.faults(SEED, len(kinds), stage.roles, kinds, slowness=1 / HASTE)

    with own_folder() as folder:
        wish = Wish(scenario="many", database=database, folder=folder, logs=folder, with_node=has_node(), lease=1)
        account = await ring.run(wish, SEED, FLOWS, plan, patience=40, tell=lambda _: None)
        found = find(account, notes.read(wish.notes))

    assert {strike.fault.kind for strike in account.strikes} == set(kinds)
    assert len(account.reading.flows) == FLOWS
    assert found.all_is_well(), "\n".join(found.lines())


def test_the_same_seed_makes_the_same_flows_and_faults() -> None:
    targets, kinds = {"api": ["api-0", "api-1"], "engine": ["engine"]}, ["kill-api", "flush-engine"]

    assert shapes.flows(7, 30) == shapes.flows(7, 30) != shapes.flows(8, 30)
    assert schedule.faults(7, 9, targets, kinds) == schedule.faults(7, 9, targets, kinds)
    assert schedule.faults(7, 9, targets, kinds) != schedule.faults(8, 9, targets, kinds)


def test_of_every_flow_that_is_drawn_one_can_say_how_it_must_end() -> None:
    flows = [flow for seed in range(20) for flow in shapes.flows(seed, 50)]

    verdicts = [oracle.judge(flow.body) for flow in flows]  # raises Ambiguous

    assert {verdict[0].status for verdict in verdicts} == {"completed", "failed"}
    assert max(map(len, verdicts)) == shapes.LARGEST
    assert max(map(_depth, (flow.body for flow in flows))) == shapes.DEEPEST


def _depth(node: oracle.Node) -> int:
    return 1 + max(map(_depth, node["children"]), default=0)


def _job(label: str, *children: dict[str, Any], fails: int = 0, alone: bool = False, **opts: Any) -> dict[str, Any]:
    data = {"label": label, "seed": 1, "ms": 0, "fails": fails, "hopeless": False, "alone": alone}
    return {"name": "a", "queueName": "q", "data": data, "opts": opts, "children": list(children)}


BROKEN = oracle.ALWAYS


@pytest.mark.parametrize(
    ("flow", "ends"),
    [
        (_job("0"), ["completed"]),
        (_job("0", fails=2, attempts=3), ["completed"]),
        (_job("0", fails=2, attempts=2), ["failed"]),
        (_job("0", _job("1"), _job("2"), fails=BROKEN), ["failed", "completed", "completed"]),
        (_job("0", _job("1", fails=BROKEN), _job("2")), ["failed", "failed", "completed?"]),
        (_job("0", _job("1", fails=BROKEN), _job("2", fails=BROKEN)), ["failed", "failed?", "failed?"]),
        (
            _job("0", _job("1", fails=BROKEN, ignoreDependencyOnFailure=True), _job("2")),
            ["completed", "failed", "completed"],
        ),
        (
            _job("0", _job("1", fails=BROKEN, removeDependencyOnFailure=True), _job("2")),
            ["completed", "failed", "completed"],
        ),
        (
            _job("0", _job("1", fails=BROKEN, continueParentOnFailure=True), _job("2"), alone=True),
            ["completed", "failed", "completed?"],
        ),
        (
            _job("0", _job("1", _job("2", fails=BROKEN, failParentOnFailure=False), ignoreDependencyOnFailure=True)),
            ["failed", "failed", "failed"],
        ),
    ],
)
def test_the_oracle_knows_what_a_failure_means(flow: dict[str, Any], ends: list[str]) -> None:
    verdicts = oracle.judge(flow)

    assert [verdict.status + ("?" if verdict.may_be_cancelled else "") for verdict in verdicts] == ends


def test_the_oracle_does_not_judge_what_chance_decides() -> None:
    woken = _job("1", fails=BROKEN, continueParentOnFailure=True)

    with pytest.raises(oracle.Ambiguous):
        oracle.judge(_job("0", woken, _job("2", fails=BROKEN)))
