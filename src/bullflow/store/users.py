"""Who owns flows."""

from sqlalchemy import select, update

from bullflow.store.sql import insert_or_leave
from bullflow.store.tables import User
from bullflow.store.transaction import Transaction

LOCAL = "local"
NOBODY = ":nobody"
"""The id and the name of who owns flows that are about to be erased; no user can be called so."""


async def ensure(connection: Transaction, name: str, new_id: str, now: int) -> str:
    """The id of the user with this name, who is made when there is none."""
    await insert_or_leave(connection, User, [{"id": new_id, "name": name, "created_at": now}], key=["name"])
    user_id: str = (await connection.execute(select(User.id).where(User.name == name))).scalar_one()
    return user_id


async def touch(connection: Transaction, name: str) -> None:
    """Write what is there already, to see whether anything can be written."""
    await connection.execute(update(User).where(User.name == name).values(name=name))


async def ensure_nobody(connection: Transaction) -> None:
    await insert_or_leave(connection, User, [{"id": NOBODY, "name": NOBODY, "created_at": 0}], key=["id"])
