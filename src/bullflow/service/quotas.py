"""How much one user may have others wait for: flows a second, flows at once, bytes in the store."""

from collections import Counter, OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

from bullflow.clock import Clock
from bullflow.errors import Fault, Invalid, Limited, StoreFull
from bullflow.flow.access import Caller
from bullflow.store import usage, users
from bullflow.store.transaction import Transaction

MOST_USERS = 10_000
LARGE_BODIES, LARGE_BODIES_OF_ONE = 8, 4
READINGS, READINGS_OF_ONE = 64, 16
SOON = timedelta(seconds=1)
AGAIN = timedelta(seconds=5)
"""When it is worth to ask again for what somebody else has to end first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Of one user; None is no limit."""

    create_rate: float | None = None
    create_burst: int = 1
    running_flows: int | None = None
    stored_bytes: int | None = None
    sockets: int = 10_000


class Room:
    """What one user may still take up in the store, as it is while a transaction lasts."""

    def __init__(self, limits: Limits, running: int, stored: int) -> None:
        self._limits = limits
        self._running = running
        self._stored = stored

    def take(self, flows: int, size: int) -> None:
        """Let so many more flows run that bring so many bytes; raises Limited, StoreFull, and takes nothing then."""
        most_running, most_stored = self._limits.running_flows, self._limits.stored_bytes
        if most_running is not None and self._running + flows > most_running:
            raise Limited(f"{most_running} of your flows may run at once (BULLFLOW_MAX_RUNNING_FLOWS).", AGAIN)
        if most_stored is not None and self._stored + size > most_stored:
            raise StoreFull(
                f"Your flows have {self._stored} bytes in the store, of {most_stored} (BULLFLOW_MAX_STORED_BYTES). "
                "Delete some that have ended, or wait until they are forgotten.",
                timedelta(minutes=1),
            )
        self._running += flows
        self._stored += size


class Quotas:
    """Flows a second, sockets and large requests are counted in this process, all else in the store."""

    def __init__(self, limits: Limits, *, clock: Clock) -> None:
        self._limits = limits
        self._clock = clock
        self._buckets: OrderedDict[str, tuple[float, int]] = OrderedDict()
        self._sockets: Counter[str] = Counter()
        self._large_bodies: Counter[str] = Counter()
        self._readings: Counter[str] = Counter()

    @property
    def look_at_store(self) -> bool:
        """Whether there is anything to be counted in the store."""
        return self._limits.running_flows is not None or self._limits.stored_bytes is not None

    def take(self, user_id: str, flows: int) -> None:
        """Take so many flows out of the user's bucket; raises Limited when there are not enough in it.

        Raises Invalid for what could never be taken, however long one waited.
        """
        rate, burst, most = self._limits.create_rate, self._limits.create_burst, self._limits.running_flows
        if most is not None and flows > most:
            raise Invalid([Fault("/flows", f"{most} flows may run at once (BULLFLOW_MAX_RUNNING_FLOWS)")])
        if rate is None:
            return
        if flows > burst:
            raise Invalid([Fault("/flows", f"one request may create {burst} flows here (BULLFLOW_CREATE_BURST)")])
        now = self._clock()
        level, filled = self._buckets.pop(user_id, (float(burst), now))
        level = min(burst, level + max(0, now - filled) / 1000 * rate)
        enough = level >= flows
        self._buckets[user_id] = level - flows if enough else level, now
        while len(self._buckets) > MOST_USERS:
            self._buckets.popitem(last=False)
        if not enough:
            wait = timedelta(seconds=(flows - level) / rate)
            raise Limited(f"You may create {rate:g} flows a second (BULLFLOW_CREATE_RATE).", wait)

    def put_back(self, user_id: str, flows: int) -> None:
        """So many flows were taken out of the bucket and not created."""
        if user_id in self._buckets:
            level, filled = self._buckets[user_id]
            self._buckets[user_id] = min(self._limits.create_burst, level + flows), filled

    async def room(self, transaction: Transaction, user_id: str) -> Room:
        """What the user may still take up. Nobody else takes up any of it until the transaction has ended."""
        await users.lock(transaction, user_id)
        most_running, most_stored = self._limits.running_flows, self._limits.stored_bytes
        running = 0 if most_running is None else await usage.running(transaction, user_id, most_running)
        stored = 0 if most_stored is None else await usage.stored(transaction, user_id)
        return Room(self._limits, running, stored)

    @contextmanager
    def socket(self, caller: Caller) -> Iterator[None]:
        """One socket of who asks, for as long as the block; raises Limited when there are too many."""
        if self._sockets[caller.name] >= self._limits.sockets:
            raise Limited(f"You may have {self._limits.sockets} sockets open (BULLFLOW_MAX_SOCKETS).", AGAIN)
        with _one_more(self._sockets, caller):
            yield

    @contextmanager
    def large_body(self, caller: Caller) -> Iterator[None]:
        """One large request of who asks, while it is read; raises Limited when there are too many."""
        if self._large_bodies[caller.name] >= LARGE_BODIES_OF_ONE or self._large_bodies.total() >= LARGE_BODIES:
            raise Limited("There are too many large requests at this moment; send them one after the other.", SOON)
        with _one_more(self._large_bodies, caller):
            yield

    @contextmanager
    def reading(self, caller: Caller) -> Iterator[None]:
        """One request of who asks that is read aside, or waits for that; raises Limited when there are too many."""
        if self._readings[caller.name] >= READINGS_OF_ONE or self._readings.total() >= READINGS:
            raise Limited("There are too many requests of this size at this moment; send fewer at once.", SOON)
        with _one_more(self._readings, caller):
            yield


@contextmanager
def _one_more(counted: Counter[str], caller: Caller) -> Iterator[None]:
    """Counted as the caller's own, also where an admin asks about somebody else's."""
    counted[caller.name] += 1
    try:
        yield
    finally:
        counted[caller.name] -= 1
        if not counted[caller.name]:
            del counted[caller.name]
