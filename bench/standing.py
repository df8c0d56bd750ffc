"""What a service uses: processor time while nobody uses it, memory after many jobs."""

import time

from bench.connections import connected
from bench.driving import JOBS, burst
from bench.figures import Figure
from bench.plan import Plan, run
from bench.service import Running, apart, processor_time, up

PARTS = ("api", "recorder")
STEPS = 10
SETTLES_WITHIN = 15
"""Seconds. What each loop does in its first round, the last one after ten seconds, is not what it costs."""


def idle(plan: Plan) -> list[Figure]:
    figures = []
    for store in plan.stores:
        service, engine = [], []
        for _ in range(plan.rounds):
            with store.empty() as url, up(url) as running:
                time.sleep(SETTLES_WITHIN)
                used = _used(running, plan.seconds)
            service.append(used[0])
            engine.append(used[1])
        figures += [
            Figure(title=f"CPU of an idle `bullflow up`: {store.name}", ours=service, unit="%", reach="1 %"),
            Figure(title=f"CPU of the Valkey of an idle `bullflow up`: {store.name}", ours=engine, unit="%"),
        ]
    return figures


def _used(running: Running, seconds: float) -> tuple[float, float]:
    """Percent of a core, of the service and of its Valkey."""
    processes = (running.process, running.engine())
    before = [processor_time(process) for process in processes]
    time.sleep(seconds)
    service, engine = (
        100 * (processor_time(process) - start) / seconds for process, start in zip(processes, before, strict=True)
    )
    return service, engine


def memory(plan: Plan) -> list[Figure]:
    """Of api and recorder in processes of their own, after each tenth of the jobs."""
    figures = []
    for store in plan.stores:
        with store.empty() as url, apart(url) as running:
            sizes = run(_after_each_tenth(running, plan))
        for part in PARTS:
            after = [size[part] for size in sizes]
            # The first tenth warms everything up.
            title = f"memory of {part} after {plan.memory_jobs:,} jobs, against after a tenth of them: {store.name}"
            figures.append(
                Figure(
                    title=title, ours=after[-1:], unit="MiB", peer=after[:1], peer_name="a tenth", reach="flat (1.0×)"
                )
            )
            figures.append(
                Figure(
                    title=f"memory of {part} after each tenth but the first: {store.name}", ours=after[1:], unit="MiB"
                )
            )
    return figures


async def _after_each_tenth(running: Running, plan: Plan) -> list[dict[str, float]]:
    """MiB by part."""
    sizes: list[dict[str, float]] = []
    async with connected(running.url) as http:
        for _ in range(STEPS):
            await burst(http, plan.memory_jobs // JOBS // STEPS, plan.clients)
            sizes.append({part: running.parts[part].memory_info().rss / 2**20 for part in PARTS})
    return sizes
