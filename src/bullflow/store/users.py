"""Who owns flows."""

from sqlalchemy import select
from sqlalchemy.dialects import postgresql, sqlite

from bullflow.store.tables import User
from bullflow.store.transaction import Transaction

LOCAL = "local"


async def ensure(connection: Transaction, name: str, new_id: str, now: int) -> str:
    """The id of the user with this name, who is made when there is none."""
    insert = (sqlite if connection.dialect.name == "sqlite" else postgresql).insert(User)
    await connection.execute(
        insert.values(id=new_id, name=name, created_at=now).on_conflict_do_nothing(index_elements=["name"])
    )
    user_id: str = (await connection.execute(select(User.id).where(User.name == name))).scalar_one()
    return user_id
