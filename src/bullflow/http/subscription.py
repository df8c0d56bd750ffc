"""One watcher of one flow: first what is in the log already, then what comes, no gap and no repeat.

Entries that come while the log is being read are kept aside and follow after it. What a watcher
does not take fills its buffer, and a full buffer ends the watch: it resumes from its last `seq`.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from bullflow.notifier import Notifier, item_json
from bullflow.store import log
from bullflow.store.database import Database
from bullflow.store.views import FlowView

ENTRIES_A_READ = 500


class TooSlow(Exception):  # noqa: N818 - it is what the watcher is
    """The watcher's buffer is full."""


class Subscription:
    """Hears of one flow. `send` takes what is to be shown at once; `wait_and_send` may wait for room."""

    def __init__(
        self,
        flow_id: str,
        *,
        send: Callable[[bytes], None],
        wrap: Callable[[int, bytes], bytes],
        show_progress: bool,
        buffer: int,
    ) -> None:
        self.flow_id = flow_id
        self._send = send
        self._wrap = wrap
        self._show_progress = show_progress
        self._buffer = buffer
        self._aside: list[tuple[int, bytes]] | None = []
        self._last_seq = 0

    def entry(self, flow_id: str, seq: int, item: bytes) -> None:
        """A live entry, from the notifier."""
        if self._aside is None:
            self._show(seq, item)
        elif len(self._aside) < self._buffer:
            self._aside.append((seq, item))
        else:
            raise NotImplementedError

    def progress(self, flow_id: str, message: bytes) -> None:
        if self._aside is None and self._show_progress:
            self._send(message)

    def summary(self, flow: FlowView) -> None:
        """Not for watchers of one flow."""

    def _show(self, seq: int, item: bytes) -> None:
        if seq > self._last_seq:
            self._last_seq = seq
            self._send(self._wrap(seq, item))
