"""What it costs to look for lost work while none is lost: the same burst with and without, in turns."""

import statistics
from collections.abc import Sequence

from bench.connections import connected
from bench.driving import JOBS as JOBS_A_FLOW
from bench.driving import Burst, burst
from bench.measure import Row
from bench.plan import run
from bench.service import Running, processor_time, up

FLOWS = 1_500
JOBS = FLOWS * JOBS_A_FLOW
CLIENTS = 16
ROUNDS = 5


def checks(database_url: str | None) -> list[Row]:
    """Jobs a second, end to end, and the processor time of service, worker and engine, a job."""
    speeds: dict[str, list[float]] = {"bench.unchecked": [], "bullflow.cli.main": []}
    costs: dict[str, list[float]] = {command: [] for command in speeds}
    for _ in range(ROUNDS):
        for command in speeds:
            with up(database_url, command=command) as running:
                before = _processor_time(running)
                speeds[command].append(run(_burst(running)).speed)
                costs[command].append((_processor_time(running) - before) / JOBS * 1e6)
    return [
        *_compared(f"burst of {JOBS:,} jobs, {ROUNDS} rounds", "jobs/s", *speeds.values()),
        *_compared("  processor time of service, worker, engine", "µs a job", *costs.values()),
    ]


async def _burst(running: Running) -> Burst:
    async with connected(running.url) as http:
        return await burst(http, FLOWS, CLIENTS)


def _processor_time(running: Running) -> float:
    return sum(map(processor_time, (running.process, running.engine())))


def _compared(title: str, unit: str, without: Sequence[float], with_checks: Sequence[float]) -> list[Row]:
    share = statistics.median(with_checks) / statistics.median(without)
    return [
        (f"{title}, without checks", f"{_spread(without)} {unit}"),
        ("  with checks", f"{_spread(with_checks)} {unit}"),
        ("  ratio", f"{share:.3f}"),
    ]


def _spread(values: Sequence[float]) -> str:
    return f"{statistics.median(values):,.0f} ({min(values):,.0f} to {max(values):,.0f})"
