"""Runs schemathesis against a service, as a process of its own, and reads what it reports."""

import asyncio
import json
import os
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from fuzz.planted import Planted
from fuzz.service import Target

_HERE = Path(__file__).parent
REAL = 0.8
"""How often a parameter names what was planted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """`cases` of each operation, and as many stories that follow links; `phases` as schemathesis names them.

    The same seed draws the same cases, as far as the service's answers are the same.
    """

    seed: int
    cases: int
    phases: Sequence[str] = ("examples", "coverage", "fuzzing", "stateful")


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """`accepted` counts, for each operation, what was answered with success to what was meant to be right."""

    cases: int
    operations: int
    accepted: Mapping[str, int]
    findings: Sequence[str]


def together(reports: Sequence[Report]) -> Report:
    """Several reports of one service as one."""
    accepted: Counter[str] = Counter()
    for report in reports:
        accepted.update(report.accepted)
    return Report(
        cases=sum(report.cases for report in reports),
        operations=max(report.operations for report in reports),
        accepted=accepted,
        findings=list(dict.fromkeys(finding for report in reports for finding in report.findings)),
    )


async def attack(target: Target, planted: Planted, plan: Plan, folder: Path, output: IO[bytes] | None = None) -> Report:
    """Every check over every operation; schemathesis writes its findings to `output`, or to our own output."""
    config, report = folder / "schemathesis.toml", folder / "report.json"
    config.write_text((_HERE / "schemathesis.toml").read_text() + _dictionaries(planted))
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "schemathesis.cli", "--config-file", config, "run", f"{target.url}/openapi.json"),
        *("--checks", "all", "--phases", ",".join(plan.phases), "--continue-on-failure"),
        *("--max-examples", str(plan.cases), "--seed", str(plan.seed)),
        *("--report", "json", "--report-json-path", report),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=output,
        stderr=output,
        cwd=folder,
        env={**os.environ, "FUZZ_TOKEN": target.token, "SCHEMATHESIS_HOOKS": str(_HERE / "hooks.py")},
    )
    try:
        code = await process.wait()
    except asyncio.CancelledError:
        process.kill()
        raise
    return _read(json.loads(report.read_text()), plan, code)


def _dictionaries(planted: Planted) -> str:
    """TOML writes lists of plain strings as JSON does."""
    parameters = {
        "path.flow_id": planted.flows,
        "path.job_id": planted.jobs,
        "path.name": planted.queues,
        "query.user": planted.users,
    }
    bound = [f'"{name}" = {{ dictionary = "{name}", probability = {REAL} }}' for name in parameters]
    known = [f'[dictionaries."{name}"]\nvalues = {json.dumps(list(ids))}' for name, ids in parameters.items()]
    return "\n".join(["\n[parameters]", *bound, *known, ""])


def _read(report: Mapping[str, Any], plan: Plan, code: int) -> Report:
    findings = [f"{found['title']}: {', '.join(found['operations'])}" for found in [*report["failures"]]] + [
        f"{error['title']}: {error['count']} times" for error in report["errors"]
    ]
    skipped = [phase for phase in plan.phases if report["phases"][phase]["status"] not in ("success", "failure")]
    findings += [f"the phase {phase} did not run" for phase in skipped]
    if code and not findings:
        findings.append(f"schemathesis ended with {code}")
    return Report(
        cases=report["test_cases"]["generated"],
        operations=report["operations"]["tested"],
        accepted={
            operation: sum(rate["accepted"] for rate in phases.values())
            for operation, phases in report["valid_rates"].items()
        },
        findings=findings,
    )
