"""What it costs to look for lost work while none is lost: the same burst with and without, in turns."""

import asyncio
import statistics
from collections.abc import Sequence

from bench.measure import Row, throughput
from bench.service import Running, up

JOBS = 16_500
ROUNDS = 5


def checks(database_url: str | None) -> list[Row]:
    """Jobs a second, end to end, and the processor time of service, worker and engine, a job."""
    speeds: dict[str, list[float]] = {"bench.unchecked": [], "bullflow.cli.main": []}
    costs: dict[str, list[float]] = {command: [] for command in speeds}
    for _ in range(ROUNDS):
        for command in speeds:
            with up(database_url, command=command) as running:
                before = _processor_time(running)
                speeds[command].append(asyncio.run(throughput(running, JOBS)))
                costs[command].append((_processor_time(running) - before) / JOBS * 1e6)
    return [
        *_compared(f"burst of {JOBS:,} jobs, {ROUNDS} rounds", "jobs/s", *speeds.values()),
        *_compared("  processor time of service, worker, engine", "µs a job", *costs.values()),
    ]


def _processor_time(running: Running) -> float:
    return sum(sum(process.cpu_times()[:2]) for process in (running.process, running.engine()))


def _compared(title: str, unit: str, without: Sequence[float], with_checks: Sequence[float]) -> list[Row]:
    share = statistics.median(with_checks) / statistics.median(without)
    return [
        (f"{title}, without checks", f"{_spread(without)} {unit}"),
        ("  with checks", f"{_spread(with_checks)} {unit}"),
        ("  ratio", f"{share:.3f}"),
    ]


def _spread(values: Sequence[float]) -> str:
    return f"{statistics.median(values):,.0f} ({min(values):,.0f} to {max(values):,.0f})"
