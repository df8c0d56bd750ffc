"""Idempotency keys: the same request sent twice makes one flow."""

from dataclasses import dataclass

from sqlalchemy import delete, select

from bullflow.store.sql import insert_or_leave
from bullflow.store.tables import IdempotencyKey
from bullflow.store.transaction import Transaction


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """What a client sent along: its own key, and what tells its request from another."""

    key: str
    fingerprint: str


async def release(connection: Transaction, user_id: str, key: Key) -> None:
    """The flow for which the key was claimed is not made after all."""
    ours = (IdempotencyKey.user_id == user_id, IdempotencyKey.key == key.key)
    await connection.execute(delete(IdempotencyKey).where(*ours))


async def claim(connection: Transaction, user_id: str, key: Key, flow_id: str, now: int) -> tuple[str, str]:
    """The flow that this key stands for, and the fingerprint of the request that made it.

    It is `flow_id` when nobody has used the key. Somebody who uses it at the same moment is waited for.
    """
    ours = {
        "user_id": user_id,
        "key": key.key,
        "fingerprint": key.fingerprint,
        "flow_id": flow_id,
        "created_at": now,
    }
    await insert_or_leave(connection, IdempotencyKey, [ours], key=["user_id", "key"])
    rows = await connection.execute(
        select(IdempotencyKey.flow_id, IdempotencyKey.fingerprint).where(
            IdempotencyKey.user_id == user_id, IdempotencyKey.key == key.key
        )
    )
    row = rows.one()
    return row.flow_id, row.fingerprint
