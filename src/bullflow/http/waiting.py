"""Holding an answer until a flow has ended."""

import asyncio
from contextlib import suppress

from bullflow.flow.access import Caller
from bullflow.flow.states import FLOW_ENDED, LogEvent
from bullflow.http.rooms import Rooms
from bullflow.store import views
from bullflow.store.log import LogItem
from bullflow.store.views import FlowView

_ENDS = frozenset({LogEvent(f"flow.{status}") for status in FLOW_ENDED})


class _End:
    """Hears of the end of one flow."""

    def __init__(self) -> None:
        self.heard = asyncio.Event()

    def entry(self, item: LogItem, text: bytes) -> None:
        if item.event in _ENDS:
            self.heard.set()

    def progress(self, flow_id: str, message: bytes) -> None:
        """Not an end."""

    def summary(self, flow: FlowView, text: bytes) -> None:
        """Not for those who follow one flow."""


async def ended_flow(rooms: Rooms, caller: Caller, flow_id: str, within: float) -> FlowView:
    """The flow when it has ended, or as it is after so many seconds; raises NotFound."""
    if within <= 0:
        return await _read(rooms, caller, flow_id)
    end = _End()
    flow = await rooms.notifier.follow(caller.user_id, flow_id, end)
    try:
        if flow.status in FLOW_ENDED:
            return flow
        with suppress(TimeoutError):
            async with asyncio.timeout(within):
                await end.heard.wait()
    finally:
        rooms.notifier.unfollow(flow_id, end)
    return await _read(rooms, caller, flow_id)


async def _read(rooms: Rooms, caller: Caller, flow_id: str) -> FlowView:
    async with rooms.database.read() as snapshot:
        return await views.flow(snapshot, caller.user_id, flow_id)
