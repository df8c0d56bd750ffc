"""Who did what: written with the very change, read by admins, and never changed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson
from sqlalchemy import delete, select

from bullflow.flow.access import Caller
from bullflow.store import writing
from bullflow.store.account_tables import Act
from bullflow.store.transaction import Transaction

MOST_REMOVED = 5_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """Something that somebody did. `target` is the id or name of what it was done to."""

    caller: Caller
    action: str
    target: str | None
    at: int
    data: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ActView:
    """An act as it is shown. `data` is JSON text."""

    n: int
    at: int
    actor: str
    token_id: str | None
    action: str
    target: str | None
    data: str


_WRITTEN = ("at", "actor", "token_id", "action", "target", "data")


def note(connection: Transaction, acts: Sequence[Done]) -> None:
    """Keep these, if and only if the transaction is."""
    rows = [
        (act.at, act.caller.name, act.caller.token_id, act.action, act.target, orjson.dumps(_told(act)).decode())
        for act in acts
    ]
    connection.later(lambda driver: writing.insert(driver, Act, _WRITTEN, rows))


def _told(act: Done) -> Mapping[str, Any]:
    return act.data if act.caller.acts_for is None else {**act.data, "user": act.caller.acts_for}


async def newest(connection: Transaction, actor: str | None, before: int | None, limit: int) -> list[ActView]:
    """Acts with smaller numbers than `before`, newest first."""
    query = select(Act.n, *(getattr(Act, name) for name in _WRITTEN))
    if actor is not None:
        query = query.where(Act.actor == actor)
    if before is not None:
        query = query.where(Act.n < before)
    rows = await connection.execute(query.order_by(Act.n.desc()).limit(limit))
    return [ActView(**row._mapping) for row in rows]


async def forget(connection: Transaction, before: int) -> int:
    """Remove some of those that are older than that instant; returns how many. The first are the oldest."""
    first = select(Act.n, Act.at).order_by(Act.n)
    oldest = (await connection.execute(first.limit(1))).one_or_none()
    if oldest is None or oldest.at >= before:
        return 0
    some = first.limit(MOST_REMOVED).subquery()
    return (await connection.execute(delete(Act).where(Act.n.in_(select(some.c.n).where(some.c.at < before))))).rowcount
