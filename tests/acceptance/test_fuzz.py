"""A short seed of `make fuzz`: no answer is a fault of the service, or one that its contract does not have."""

from pathlib import Path

from chaos.stage import own_folder
from fuzz.attack import Plan, attack
from fuzz.planted import plant
from fuzz.service import up

from support.eventually import eventually
from support.servers import Valkey

PLAN = Plan(seed=20, cases=2, phases=("fuzzing", "stateful"))
"""Drawn cases and stories alone: to enumerate what the contract has takes a minute."""
OPERATIONS = 27


async def test_every_answer_is_one_of_the_contract(store_url: str, valkey: Valkey, prefix: str, tmp_path: Path) -> None:
    said = tmp_path / "schemathesis.log"
    with own_folder() as folder, said.open("wb") as output:
        async with up(folder, database_url=store_url, redis_url=valkey.url, prefix=prefix) as target:
            report = await attack(target, await plant(target), PLAN, folder, output)

            async def is_at_rest() -> bool:
                return not await target.standing()

            await eventually(is_at_rest)
            complaints = target.complaints()

    assert not report.findings, said.read_text()
    assert not complaints
    assert report.operations == OPERATIONS
    assert report.cases > 3 * OPERATIONS
    assert sum(times > 0 for times in report.accepted.values()) > 20
