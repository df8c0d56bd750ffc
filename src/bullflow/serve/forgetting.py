"""What keeps the store and the engine from growing without bound; the leader does it."""

from bullflow import loop, telemetry
from bullflow.bookkeeper import LOOK_EVERY as BOOKKEEPER_LOOKS
from bullflow.bookkeeper import Bookkeeper
from bullflow.clock import now_ms
from bullflow.engine.ended import Ended
from bullflow.forgetter import LOOK_EVERY as FORGETTER_LOOKS
from bullflow.forgetter import Forgetter
from bullflow.serve.base import Base
from bullflow.sweeper import LOOK_EVERY as SWEEPER_LOOKS
from bullflow.sweeper import Sweeper


async def forgetting(base: Base) -> None:
    """Delete flows whose time is over, for ever."""
    forgetter = Forgetter(base.database, keep=base.settings.keep_flows, clock=now_ms, log=telemetry.logger("forgetter"))
    await loop.run("forgetter", forgetter.run_once, wake=loop.Wake(), interval=FORGETTER_LOOKS, log=forgetter.log)


async def bookkeeping(base: Base) -> None:
    """Keep the books short, for ever."""
    keeper = Bookkeeper(base.database, keep=base.settings.keep_audit, clock=now_ms, log=telemetry.logger("bookkeeper"))
    await loop.run("bookkeeper", keeper.run_once, wake=loop.Wake(), interval=BOOKKEEPER_LOOKS, log=keeper.log)


async def sweeping(base: Base) -> None:
    """Take out of the engine what has ended and is recorded, for ever."""
    sweeper = Sweeper(
        base.database,
        Ended(base.client, base.settings.prefix),
        keep=base.settings.engine_keep,
        clock=now_ms,
        log=telemetry.logger("sweeper"),
    )
    await loop.run("sweeper", sweeper.run_once, wake=loop.Wake(), interval=SWEEPER_LOOKS, log=sweeper.log)
