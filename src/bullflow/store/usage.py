"""How much users have in the store: what their flows' data and results weigh, and how many flows run."""

from collections import Counter
from collections.abc import Iterable, Sequence

from sqlalchemy import Connection, delete, func, insert, select

from bullflow.store import writing
from bullflow.store.account_tables import Usage
from bullflow.store.sql import one_of
from bullflow.store.tables import UNFINISHED, Flow
from bullflow.store.transaction import Transaction

MOST_SETTLED = 2_000


def write(driver: Connection, added: Iterable[tuple[str, int]]) -> None:
    """Users, and bytes that each has come to have; a part of a larger piece of work."""
    sums: Counter[str] = Counter()
    for user_id, size in added:
        sums[user_id] += size
    writing.insert(driver, Usage, ("user_id", "bytes"), [(user_id, size) for user_id, size in sums.items() if size])


async def give_back(connection: Transaction, flow_ids: Sequence[str]) -> None:
    """The owners of these flows have so much less; the caller has the flows' locks."""
    rows = await connection.execute(
        select(Flow.user_id, func.sum(Flow.stored_bytes).label("size"))
        .where(one_of(connection, Flow.id, flow_ids), Flow.stored_bytes > 0)
        .group_by(Flow.user_id)
    )
    less = [(row.user_id, -int(row.size)) for row in rows]
    connection.later(lambda driver: write(driver, less))


async def stored(connection: Transaction, user_id: str) -> int:
    """Bytes that this user's flows have in the store."""
    return int(await connection.scalar(select(func.coalesce(func.sum(Usage.bytes), 0)).where(Usage.user_id == user_id)))


async def running(connection: Transaction, user_id: str, most: int) -> int:
    """How many flows of this user have not ended; no more than `most` are counted."""
    some = select(Flow.id).where(UNFINISHED, Flow.user_id == user_id).limit(most).subquery()
    return int(await connection.scalar(select(func.count()).select_from(some)))


async def settle(connection: Transaction) -> int:
    """Put together some of what was added, so that each user has few rows; returns how many rows there are less."""
    oldest = (await connection.execute(select(Usage.n, Usage.user_id).order_by(Usage.n).limit(MOST_SETTLED))).all()
    times = Counter(row.user_id for row in oldest)
    many = [row.n for row in oldest if times[row.user_id] > 1]
    if not many:
        return 0
    found = await connection.execute(
        delete(Usage)
        .where(Usage.n <= many[-1], Usage.user_id.in_([user_id for user_id, rows in times.items() if rows > 1]))
        .returning(Usage.user_id, Usage.bytes)
    )
    sums: Counter[str] = Counter()
    for row in found:
        sums[row.user_id] += row.bytes
    if sums:  # unless another leader, who has just been replaced, was faster
        await connection.execute(insert(Usage), [{"user_id": user, "bytes": size} for user, size in sums.items()])
    return len(many) - len(sums)
