"""Holding an answer until a flow has ended."""

import asyncio
from contextlib import suppress

from bullflow.errors import Revoked
from bullflow.flow.access import Caller
from bullflow.flow.states import FLOW_ENDED, LogEvent
from bullflow.http.callers import until_refused
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


async def ended_flow(rooms: Rooms, caller: Caller, flow_id: str, within: float, shown: str | None) -> FlowView:
    """The flow when it has ended, or as it is after so many seconds; raises NotFound, Limited.

    Raises Revoked when what was `shown` opens nothing any more meanwhile.
    """
    if within <= 0:
        return await _read(rooms, caller, flow_id)
    end = _End()
    with rooms.quotas.socket(caller):
        flow = await rooms.notifier.follow(caller.user_id, flow_id, end)
        try:
            if flow.status in FLOW_ENDED:
                return flow
            with suppress(TimeoutError):
                async with asyncio.timeout(within):
                    await _heard(rooms, end, shown)
        finally:
            rooms.notifier.unfollow(flow_id, end)
        return await _read(rooms, caller, flow_id)


async def _heard(rooms: Rooms, end: _End, shown: str | None) -> None:
    if rooms.access.lets_all_in:
        await end.heard.wait()
        return
    heard, refused = (asyncio.create_task(part) for part in (end.heard.wait(), until_refused(rooms.access, shown)))
    try:
        await asyncio.wait({heard, refused}, return_when=asyncio.FIRST_COMPLETED)
        if refused.done():
            raise Revoked
    finally:
        heard.cancel()
        refused.cancel()


async def _read(rooms: Rooms, caller: Caller, flow_id: str) -> FlowView:
    return await rooms.database.look(views.flow, caller.user_id, flow_id)
