"""How much one user may have others wait for: flows a second, flows at once, bytes in the store."""

from collections import Counter, OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

from bullflow.clock import Clock
from bullflow.errors import Limited, StoreFull
from bullflow.store import usage
from bullflow.store.flows import NewFlow
from bullflow.store.transaction import Transaction

MOST_USERS = 10_000
LARGE_BODIES, LARGE_BODIES_OF_ONE = 8, 4
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


class Quotas:
    """Flows a second and sockets are counted in this process, all else in the store."""

    def __init__(self, limits: Limits, *, clock: Clock) -> None:
        self._limits = limits
        self._clock = clock
        self._buckets: OrderedDict[str, tuple[float, int]] = OrderedDict()
        self._sockets: Counter[str] = Counter()
        self._large_bodies: Counter[str] = Counter()

    def take(self, user_id: str, flows: int) -> None:
        """Take so many flows out of the user's bucket; raises Limited when there are not enough in it."""
        rate, burst = self._limits.create_rate, self._limits.create_burst
        if rate is None:
            return
        if flows > burst:
            raise Limited(f"One request may create {burst} flows here (BULLFLOW_CREATE_BURST).", AGAIN)
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

    async def check(self, transaction: Transaction, flows: Sequence[NewFlow]) -> None:
        """Raises Limited when these flows of one user would be too many, or StoreFull when they are too large."""
        user_id, limits = flows[0].user_id, self._limits
        if limits.running_flows is not None:
            room = limits.running_flows - await usage.running(transaction, user_id, limits.running_flows)
            if len(flows) > room:
                most = limits.running_flows
                raise Limited(f"{most} of your flows may run at once (BULLFLOW_MAX_RUNNING_FLOWS).", AGAIN)
        if limits.stored_bytes is not None:
            stored = await usage.stored(transaction, user_id)
            if stored + sum(flow.stored_bytes for flow in flows) > limits.stored_bytes:
                raise StoreFull(
                    f"Your flows have {stored} bytes in the store, of {limits.stored_bytes} "
                    "(BULLFLOW_MAX_STORED_BYTES). Delete some that have ended, or wait until they are forgotten.",
                    timedelta(minutes=1),
                )

    @contextmanager
    def socket(self, user_id: str) -> Iterator[None]:
        """One socket of this user, as long as the block; raises Limited when there are too many."""
        if self._sockets[user_id] >= self._limits.sockets:
            raise Limited(f"You may have {self._limits.sockets} sockets open (BULLFLOW_MAX_SOCKETS).", AGAIN)
        with _one_more(self._sockets, user_id):
            yield

    @contextmanager
    def large_body(self, user_id: str) -> Iterator[None]:
        """One large request of this user, while it is read; raises Limited when there are too many."""
        if self._large_bodies[user_id] >= LARGE_BODIES_OF_ONE or self._large_bodies.total() >= LARGE_BODIES:
            raise Limited("There are too many large requests at this moment; send them one after the other.", SOON)
        with _one_more(self._large_bodies, user_id):
            yield


@contextmanager
def _one_more(counted: Counter[str], user_id: str) -> Iterator[None]:
    counted[user_id] += 1
    try:
        yield
    finally:
        counted[user_id] -= 1
        if not counted[user_id]:
            del counted[user_id]
