"""One watcher of one flow: first what is in the log already, then what comes, no gap and no repeat.

The notifier says from which `seq` on it will hand out entries. What lies before is read from the log
in pages, at the watcher's own pace; live entries that come meanwhile are kept aside and follow. When
more come than are worth keeping, they are forgotten and read from the log as well.
"""

from collections import deque
from collections.abc import Callable

from bullflow.flow.access import Caller
from bullflow.http import ids
from bullflow.http.outbox import Outbox
from bullflow.http.rooms import Rooms
from bullflow.http.veil import veil_of
from bullflow.notifier import item_json
from bullflow.store import log
from bullflow.store.log import LogItem
from bullflow.store.views import FlowView

ENTRIES_A_READ = 500


class Subscription:
    """Hears of one flow. `wrap` makes a message of an entry and its `seq`."""

    def __init__(
        self,
        rooms: Rooms,
        caller: Caller,
        flow_id: str,
        outbox: Outbox,
        *,
        wrap: Callable[[int, bytes], bytes],
        with_progress: bool,
    ) -> None:
        self.flow_id = flow_id
        self._rooms = rooms
        self._user_id = caller.user_id
        self._veil = veil_of(rooms, caller)
        self._outbox = outbox
        self._wrap = wrap
        self._with_progress = with_progress
        self._aside: deque[tuple[int, bytes]] | None = deque()
        self._sent = 0
        self._live_after = 0

    async def join(self, after: int) -> int:
        """Begin to hear; returns the number of the last entry. Raises NotFound, also for another user's flow."""
        self._sent = after
        ids.flow_id(self.flow_id)
        flow = await self._rooms.notifier.follow(self._user_id, self.flow_id, self)
        # What came while it was joining may have been too much to keep aside, and is read from the log as well.
        self._live_after = max(self._live_after, flow.last_seq)
        return flow.last_seq

    async def catch_up(self) -> None:
        """Send what the log has up to the live entries, then those, and go on live."""
        aside = self._aside
        while aside or self._sent < self._live_after:
            if self._sent < self._live_after:
                await self._send_page()
            elif aside:
                await self._send_when_room(*aside.popleft())
        self._aside = None

    async def _send_page(self) -> None:
        items = await self._rooms.database.look(log.after, self.flow_id, self._sent, ENTRIES_A_READ)
        for item in items:
            await self._send_when_room(item.seq, item_json(self._veil.item(item)))
        if not items:
            self._sent = self._live_after  # the log is gone, with its flow

    async def _send_when_room(self, seq: int, text: bytes) -> None:
        if seq > self._sent:
            await self._outbox.put_when_room(self._wrap(seq, text))
            self._sent = seq

    def leave(self) -> None:
        self._rooms.notifier.unfollow(self.flow_id, self)

    def entry(self, item: LogItem, text: bytes) -> None:
        """A live entry, from the notifier."""
        if self._veil:
            text = item_json(self._veil.item(item))
        if self._aside is not None:
            self._keep_aside(item.seq, text)
        elif item.seq > self._sent:
            self._sent = item.seq
            self._outbox.put(self._wrap(item.seq, text))

    def _keep_aside(self, seq: int, text: bytes) -> None:
        if self._aside is not None and len(self._aside) < self._rooms.settings.socket_buffer:
            self._aside.append((seq, text))
        elif self._aside is not None:
            self._live_after = seq
            self._aside.clear()

    def progress(self, flow_id: str, message: bytes) -> None:
        if self._with_progress and self._aside is None:
            self._outbox.drop_or_put(self._veil.progress(message))

    def summary(self, flow: FlowView, text: bytes) -> None:
        """Summaries are for those who follow all flows."""
