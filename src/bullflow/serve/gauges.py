"""How far the work is behind."""

from bullflow.engine.connection import in_time
from bullflow.engine.lag import recorder_lag
from bullflow.http.rooms import Gauge
from bullflow.serve.base import Base
from bullflow.store import backlog, streams

MOST_COUNTED = 10_000
"""Counting on would tell nobody more, and take as long as there are flows."""


def gauges(base: Base) -> dict[str, Gauge]:
    """What `/readyz` shows beside whether all is there."""

    async def lag() -> int:
        positions = await base.database.look(streams.positions)
        return await in_time(recorder_lag(base.client, base.settings.prefix, positions))

    async def to_dispatch() -> int:
        return await base.database.look(backlog.how_many_to_dispatch, MOST_COUNTED)

    return {"recorderLag": lag, "dispatchBacklog": to_dispatch}
