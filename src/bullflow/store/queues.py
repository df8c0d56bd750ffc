"""Which queues users may know, and what operators have set for them."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, select, update

from bullflow.errors import NotFound
from bullflow.flow.queues import QueueLimits, QueueRules, RateLimit
from bullflow.store.account_tables import UserQueue
from bullflow.store.sql import insert_or_leave
from bullflow.store.tables import QueueSettings, StreamPosition
from bullflow.store.transaction import Transaction

INTERNAL = ":"
"""What the names of streams begin with that are no queues of users. No queue's name holds it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SetQueue:
    """A queue with the rules that were set for it; `due` until the engine has them."""

    name: str
    rules: QueueRules
    due: bool


async def use(connection: Transaction, used: Iterable[tuple[str, str]]) -> None:
    """Note users and queues that their flows use."""
    rows = [{"user_id": user_id, "queue_name": name} for user_id, name in sorted(used)]
    await insert_or_leave(connection, UserQueue, rows, key=["user_id", "queue_name"])


async def names(connection: Transaction, user_id: str | None, *, after: str | None, limit: int) -> list[str]:
    """Queues of this user (None: of anybody) behind `after`, in the order of their names' code points."""
    table = StreamPosition if user_id is None else UserQueue
    name = _by_code_point(connection, table)
    query = select(table.queue_name)
    query = query.where(~name.startswith(INTERNAL) if user_id is None else UserQueue.user_id == user_id)
    if after is not None:
        query = query.where(name > after)
    return list(await connection.scalars(query.order_by(name).limit(limit)))


async def must_know(connection: Transaction, user_id: str | None, name: str) -> None:
    """Raises NotFound unless a flow of this user (None: of anybody) has used this queue."""
    if user_id is None:
        query = select(StreamPosition.queue_name).where(StreamPosition.queue_name == name)
    else:
        query = select(UserQueue.queue_name).where(UserQueue.user_id == user_id, UserQueue.queue_name == name)
    if await connection.scalar(query) is None or name.startswith(INTERNAL):
        raise NotFound("queue", name)


async def set_paused(connection: Transaction, name: str, paused: bool) -> SetQueue:
    """Set whether a queue is paused, and leave its limits; raises NotFound."""
    return await _set(connection, name, {"paused": paused})


async def set_limits(connection: Transaction, name: str, limits: QueueLimits) -> SetQueue:
    """Set a queue's limits, and leave whether it is paused; raises NotFound."""
    return await _set(connection, name, _columns(limits))


async def all_set(connection: Transaction) -> list[SetQueue]:
    """Every queue for which anything was ever set."""
    rows = await connection.execute(select(*_SET).order_by(QueueSettings.queue_name))
    return [_set_queue(row) for row in rows]


async def applied(connection: Transaction, queue: SetQueue) -> SetQueue | None:
    """Note that the engine has these rules. What is to be applied now, should others have been set meanwhile."""
    columns = {"paused": queue.rules.paused, **_columns(queue.rules.limits)}
    unchanged = [getattr(QueueSettings, column).is_not_distinct_from(value) for column, value in columns.items()]
    done = await connection.execute(
        update(QueueSettings).where(QueueSettings.queue_name == queue.name, *unchanged).values(due=False)
    )
    if done.rowcount:
        return None
    rows = await connection.execute(select(*_SET).where(QueueSettings.queue_name == queue.name))
    row = rows.one_or_none()
    return None if row is None else _set_queue(row)


async def _set(connection: Transaction, name: str, columns: dict[str, Any]) -> SetQueue:
    # Also when nothing changes: whoever asks again may do so because the engine does something else.
    await must_know(connection, None, name)
    fresh = {"queue_name": name, "paused": False, "due": True}
    await insert_or_leave(connection, QueueSettings, [fresh], key=["queue_name"])
    rows = await connection.execute(
        update(QueueSettings).where(QueueSettings.queue_name == name).values(**columns, due=True).returning(*_SET)
    )
    return _set_queue(rows.one())


def _by_code_point(connection: Transaction, table: type[StreamPosition] | type[UserQueue]) -> ColumnElement[str]:
    """SQLite compares bytes by itself; Postgres as its locale says, where two names may even have one place."""
    return table.queue_name.collate("BINARY" if connection.dialect.name == "sqlite" else "C")


def _columns(limits: QueueLimits) -> dict[str, int | None]:
    rate = limits.rate
    return {
        "concurrency": limits.concurrency,
        "rate_max": None if rate is None else rate.max,
        "rate_duration": None if rate is None else rate.duration,
    }


_SET = (
    QueueSettings.queue_name,
    QueueSettings.paused,
    QueueSettings.concurrency,
    QueueSettings.rate_max,
    QueueSettings.rate_duration,
    QueueSettings.due,
)


def _set_queue(row: Any) -> SetQueue:
    rate = None if row.rate_max is None else RateLimit(max=row.rate_max, duration=row.rate_duration)
    limits = QueueLimits(concurrency=row.concurrency, rate=rate)
    return SetQueue(name=row.queue_name, rules=QueueRules(paused=row.paused, limits=limits), due=row.due)
