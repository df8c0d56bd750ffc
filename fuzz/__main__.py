"""`make fuzz`: schemathesis against a live service, over each database, with all checks on.

It draws requests from the contract (right ones, wrong ones, and stories that follow its links), and no answer may be
a server's error, one that the contract does not have, or of another shape than it says.
"""

import argparse
import asyncio
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from chaos.servers import Postgres
from chaos.stage import own_folder

from fuzz.attack import Plan, Report, attack, together
from fuzz.planted import plant
from fuzz.service import Target, up

AT_REST_WITHIN = 60
CASES_A_ROUND = 25
"""Stories come in rounds, each with a seed of its own: one ends as soon as a request that is sent again is answered
otherwise, which is what a flow that was deleted meanwhile does."""


def main() -> None:
    arguments = _arguments()
    databases = ["sqlite", "postgres"] if arguments.database == "both" else [arguments.database]
    plan = Plan(seed=arguments.seed if arguments.seed is not None else int(time.time()), cases=arguments.cases)
    well = [_run(database, plan, arguments.keep) for database in databases]
    sys.exit(0 if all(well) else 1)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="fuzz", description=__doc__)
    parser.add_argument("--database", choices=["sqlite", "postgres", "both"], default="both")
    parser.add_argument("--cases", type=int, default=100, help="of each operation, beside those that are enumerated")
    parser.add_argument("--seed", type=int, help="the time, if it is not given")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="keep what the service says here")
    return parser.parse_args()


def _run(database: str, plan: Plan, keep: Path | None) -> bool:
    with own_folder() as folder, _database(database, folder) as url:
        try:
            report, complaints = asyncio.run(_fuzz(url, folder, plan))
        finally:
            if keep is not None:
                keep.mkdir(parents=True, exist_ok=True)
                shutil.copy(folder / "up.log", keep / f"{database}-{plan.seed}.log")
    never = sorted(operation for operation, times in report.accepted.items() if not times)
    findings = [*report.findings, *complaints, *(f"never accepted: {operation}" for operation in never)]
    print(f"{database}, seed {plan.seed}: {report.cases} cases of {report.operations} operations")
    print("".join(f"  {finding}\n" for finding in findings) or "  nothing was found\n")
    return not findings


@contextmanager
def _database(kind: str, folder: Path) -> Iterator[str]:
    if kind == "sqlite":
        yield f"sqlite:///{folder / 'bullflow.db'}"
        return
    server = Postgres(folder / "postgres")
    try:
        yield server.url
    finally:
        server.cleanup()


async def _fuzz(database_url: str, folder: Path, plan: Plan) -> tuple[Report, list[str]]:
    async with up(folder, database_url=database_url) as target:
        planted = await plant(target)
        reports = [await attack(target, planted, plan, folder)]
        for n in range(1, plan.cases // CASES_A_ROUND + 1):
            stories = replace(plan, seed=plan.seed + n, phases=("stateful",))
            with (folder / "stories.log").open("w+b") as said:
                reports.append(await attack(target, planted, stories, folder, said))
                if reports[-1].findings:
                    said.seek(0)
                    print(said.read().decode())
        standing = await _at_rest(target)
        return together(reports), [*target.complaints(), *([standing] if standing else [])]


async def _at_rest(target: Target) -> str:
    """Empty as soon as the service is behind with nothing; what is wrong if that takes too long."""
    for _ in range(AT_REST_WITHIN):
        standing = await target.standing()
        if not standing:
            break
        await asyncio.sleep(1)
    return standing


if __name__ == "__main__":
    main()
