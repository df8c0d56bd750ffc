"""One run of the ring: set up, create and watch and break, let it come to rest, read what the service has kept."""

import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from chaos import schedule, shapes
from chaos.clients import Clients, Order
from chaos.reading import Reader, Reading
from chaos.saboteur import Saboteur, Strike
from chaos.schedule import Fault
from chaos.stage import Stage, Wish, set_up

WATCHERS_END_WITHIN = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """All that is known after a run."""

    orders: Sequence[Order]
    strikes: Sequence[Strike]
    reading: Reading
    began: float
    faults_ended: float
    came_to_rest: float
    ended_by_themselves: Sequence[str]
    lease: float


@dataclass(slots=True)
class Standing:
    """How far a run is, for those who look on."""

    accepted: int = 0
    ended: int = 0
    faults: int = 0
    now: str = "starting"


Tell = Callable[[Standing], None]


async def run(
    wish: Wish, seed: int, flows: int, plan: Callable[[Stage], Sequence[Fault]], patience: float, tell: Tell
) -> Account:
    """Run flows through the faults that `plan` makes for the stage, and through a quiet time after them."""
    orders = [Order(plan=flow) for flow in shapes.flows(seed, flows)]
    async with set_up(wish) as stage:
        faults = plan(stage)
        (wish.logs / "faults.txt").write_text("".join(f"{fault.at:7.1f}  {fault}\n" for fault in faults))
        standing, began = Standing(), time.time()
        with (wish.logs / "timeline.txt").open("w", buffering=1) as timeline:

            def note(line: str) -> None:
                timeline.write(f"{time.time() - began:7.1f}  {line}\n")
                standing.now = line

            async with Clients(stage.urls, seed) as clients:
                saboteur = Saboteur(stage, wish.folder, note)
                showing = asyncio.create_task(_show(standing, clients, saboteur, tell))
                serving = asyncio.create_task(_serve(clients, orders, schedule.arrivals(seed, flows, faults)))
                try:
                    await saboteur.carry_out(faults)
                    faults_ended = time.time()
                    note("all faults are over")
                    async with Reader(stage.urls[0]) as reader:
                        await reader.rest(patience, lambda: sum(order.id is not None for order in orders) == flows)
                        came_to_rest = time.time()
                        note("at rest")
                        with suppress(TimeoutError):
                            await asyncio.wait_for(serving, WATCHERS_END_WITHIN)
                        reading = await reader.read([order.id for order in orders if order.id])
                finally:
                    for task in (serving, showing):
                        task.cancel()
                    await asyncio.gather(serving, showing, return_exceptions=True)
        return Account(
            orders=orders,
            strikes=saboteur.strikes,
            reading=reading,
            began=began,
            faults_ended=faults_ended,
            came_to_rest=came_to_rest,
            ended_by_themselves=stage.ended_by_themselves(),
            lease=wish.lease,
        )


async def _serve(clients: Clients, orders: Sequence[Order], arrivals: Sequence[float]) -> None:
    start = asyncio.get_running_loop().time()
    async with asyncio.TaskGroup() as tasks:
        for order, at in zip(orders, arrivals, strict=True):
            tasks.create_task(clients.serve(order, at=start + at))


async def _show(standing: Standing, clients: Clients, saboteur: Saboteur, tell: Tell) -> None:
    while True:
        standing.accepted, standing.ended = clients.accepted, clients.ended
        standing.faults = len(saboteur.strikes)
        tell(standing)
        await asyncio.sleep(0.5)
