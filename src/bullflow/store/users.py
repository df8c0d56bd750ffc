"""Who owns flows."""

from dataclasses import dataclass
from typing import Any

import orjson
from sqlalchemy import select, update

from bullflow.errors import Conflict, NotFound
from bullflow.store.sql import insert_or_leave
from bullflow.store.tables import User
from bullflow.store.transaction import Transaction

LOCAL = "local"
NOBODY = ":nobody"
"""The id and the name of who owns flows that are about to be erased; no user can be called so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """A user; `queues` are patterns of the queues that it may use, all when there are none."""

    id: str
    name: str
    queues: tuple[str, ...]
    created_at: int
    disabled_at: int | None


async def ensure(connection: Transaction, name: str, new_id: str, now: int) -> str:
    """The id of the user with this name, who is made when there is none."""
    await insert_or_leave(connection, User, [{"id": new_id, "name": name, "created_at": now}], key=["name"])
    user_id: str = (await connection.execute(select(User.id).where(User.name == name))).scalar_one()
    return user_id


async def create(connection: Transaction, account: Account) -> None:
    """Keep a new user; raises Conflict when the name is taken."""
    row = {
        "id": account.id,
        "name": account.name,
        "queues": orjson.dumps(account.queues).decode(),
        "created_at": account.created_at,
    }
    await insert_or_leave(connection, User, [row], key=["name"])
    if await connection.scalar(select(User.id).where(User.name == account.name)) != account.id:
        raise Conflict(f"There is a user {account.name!r} already.")


async def by_name(connection: Transaction, name: str) -> Account:
    """Raises NotFound."""
    row = (await connection.execute(select(*_ACCOUNT).where(User.name == name, User.id != NOBODY))).one_or_none()
    if row is None:
        raise NotFound("user", name)
    return _account(row)


async def everybody(connection: Transaction) -> list[Account]:
    """All users by name."""
    rows = await connection.execute(select(*_ACCOUNT).where(User.id != NOBODY).order_by(User.name))
    return [_account(row) for row in rows]


async def set_disabled(connection: Transaction, name: str, at: int | None) -> None:
    """From now on the user's tokens open nothing; None lets them again. Raises NotFound."""
    changed = await connection.execute(update(User).where(User.name == name, User.id != NOBODY).values(disabled_at=at))
    if not changed.rowcount:
        raise NotFound("user", name)


async def lock(connection: Transaction, user_id: str) -> None:
    """Let nobody else who does the same go on before this transaction has ended. (On SQLite nobody else writes.)"""
    if connection.dialect.name != "sqlite":
        await connection.execute(select(User.id).where(User.id == user_id).with_for_update(key_share=True))


async def touch(connection: Transaction, name: str) -> None:
    """Write what is there already, to see whether anything can be written."""
    await connection.execute(update(User).where(User.name == name).values(name=name))


async def ensure_nobody(connection: Transaction) -> None:
    await insert_or_leave(connection, User, [{"id": NOBODY, "name": NOBODY, "created_at": 0}], key=["id"])


_ACCOUNT = (User.id, User.name, User.queues, User.created_at, User.disabled_at)


def _account(row: Any) -> Account:
    return Account(
        id=row.id,
        name=row.name,
        queues=patterns(row.queues),
        created_at=row.created_at,
        disabled_at=row.disabled_at,
    )


def patterns(text: str) -> tuple[str, ...]:
    """Patterns of queues as they are kept."""
    return tuple(orjson.loads(text))
