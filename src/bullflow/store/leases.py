"""Leases: one holder at a time, and a fence against a holder that has been replaced.

A holder renews while it works. One that stays silent past `expires_at` may be replaced; the
`token` grows then, so the old holder, should it wake up, finds its token gone in the very
transaction in which it wanted to write. Expiry compares clocks of two machines and may be off;
the fence does not, so a wrong clock costs a change of hands and never a wrong write.

A holder that was stopped in the middle of such a transaction keeps the row locked. Postgres has time
limits for a transaction that does nothing, and none for one that waits for the rest of a COPY; so whoever
wants a lease that has run out ends those sessions first. On SQLite nobody can, while that process lives.
"""

from dataclasses import dataclass
from datetime import timedelta
from functools import cache

from sqlalchemy import Connection, bindparam, or_, select, text, update

from bullflow.clock import milliseconds
from bullflow.errors import LeadershipLost
from bullflow.store.sql import Words, insert_or_leave
from bullflow.store.tables import Lease
from bullflow.store.transaction import Transaction

RECORDER = "recorder"
"""Who holds this one records and dispatches."""


@dataclass(frozen=True, slots=True)
class Held:
    """A lease that this process holds."""

    name: str
    holder: str
    token: int


async def acquire(connection: Transaction, name: str, holder: str, now: int, term: timedelta) -> Held | None:
    """Take the lease if it is free, expired or ours; None while somebody else holds it."""
    if connection.dialect.name == "postgresql":
        await connection.execute(_SOON)
        await connection.execute(_END_WHO_STANDS_STILL)
    free = {"name": name, "holder": "", "token": 0, "expires_at": 0}
    await insert_or_leave(connection, Lease, [free], key=["name"])
    row = await connection.execute(
        update(Lease)
        .where(Lease.name == name, or_(Lease.expires_at <= now, Lease.holder == holder))
        .values(holder=holder, token=Lease.token + 1, expires_at=now + milliseconds(term))
        .returning(Lease.token)
    )
    token = row.scalar_one_or_none()
    return None if token is None else Held(name, holder, token)


_SOON = text("SET LOCAL lock_timeout = '1s'")
_END_WHO_STANDS_STILL = text("""
    SELECT pg_terminate_backend(session.pid)
    FROM pg_stat_activity AS session JOIN pg_locks AS held ON held.pid = session.pid
    WHERE held.relation = 'leases'::regclass AND held.mode = 'RowExclusiveLock' AND held.granted
      AND session.datname = current_database() AND session.usename = current_user
      AND session.pid <> pg_backend_pid() AND session.xact_start < clock_timestamp() - interval '3 seconds'
""")


def hold(connection: Transaction, lease: Held, now: int, term: timedelta) -> None:
    """Renew with whatever is asked next, or with the commit, which raises LeadershipLost if it has changed hands."""
    connection.later(lambda driver: _renew(driver, lease, now, term))


def _renew(driver: Connection, lease: Held, now: int, term: timedelta) -> None:
    words = _words_to_renew(driver.dialect.name)
    if words.done(driver, held=lease.name, by_token=lease.token, until=now + milliseconds(term)) != 1:
        raise LeadershipLost


@cache
def _words_to_renew(dialect: str) -> Words:
    ours = (Lease.name == bindparam("held"), Lease.token == bindparam("by_token"))
    return Words(update(Lease).where(*ours).values(expires_at=bindparam("until")), dialect)


async def release(connection: Transaction, lease: Held) -> None:
    """Give the lease back, so that the next one need not wait for it to expire."""
    await connection.execute(
        update(Lease).where(Lease.name == lease.name, Lease.token == lease.token).values(expires_at=0)
    )


async def is_held(connection: Transaction, name: str, now: int) -> bool:
    """Whether somebody holds the lease just now."""
    expires_at = await connection.scalar(select(Lease.expires_at).where(Lease.name == name))
    return expires_at is not None and expires_at > now
