"""Flows that are to be forgotten: given to nobody first, then erased piece by piece.

A flow may have thousands of jobs, and tens of thousands of entries and lines. So that nobody waits long, its rows go in
many short transactions, and so that nobody sees it half there, it belongs to nobody before: every question
of a user is bound to that user's own flows, so from that commit on it is gone for all of them, and its
idempotency keys are free. Rows go from the newest to the oldest: whoever is still reading its log
finds it shorter, never with a gap.

Failure: what was begun still belongs to nobody and is found by that, by whoever comes next. Erasing is done under
the locks of the flows, so two who do it at once take turns.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from sqlalchemy import BindParameter, ColumnElement, bindparam, delete, func, not_, select, update
from sqlalchemy.orm import InstrumentedAttribute

from bullflow.flow.states import OPEN
from bullflow.store import usage, users
from bullflow.store.database import Database
from bullflow.store.sql import Words, one_of
from bullflow.store.tables import ALL_JOBS, COUNT_COLUMNS, Flow, FlowJob, IdempotencyKey, JobLogLine, LogEntry
from bullflow.store.transaction import Transaction
from bullflow.together import in_groups

FEWEST_ROWS, MOST_ROWS = 50, 2_000
TOO_LONG = 0.05
"""Seconds that a piece should not take; the next one is smaller."""


async def ended(connection: Transaction, since: int, before: int, limit: int) -> dict[str, int]:
    """Flows that ended from `since` to `before` and of which nothing is left to be done, with their ends in order."""
    words = _ended(connection.dialect.name)
    return dict(await connection.run(lambda driver: words.rows(driver, since=since, before=before, most=limit)))


@cache
def _ended(dialect: str) -> Words:
    over = (Flow.finished_at >= bindparam("since"), *_over(bindparam("before")))
    query = select(Flow.id, Flow.finished_at).where(*over).order_by(Flow.finished_at).limit(bindparam("most"))
    return Words(query, dialect)


def _over(before: int | BindParameter[Any]) -> list[ColumnElement[bool]]:
    """What must hold of a flow for its age alone to delete it; some of its jobs may go on after its end."""
    return [
        Flow.finished_at <= before,
        Flow.user_id != users.NOBODY,
        not_(Flow.dispatch_due),
        not_(Flow.withdraw_due),
        *(getattr(Flow, COUNT_COLUMNS[status]) == 0 for status in sorted(OPEN)),
    ]


async def hide_ended(connection: Transaction, flow_ids: Sequence[str], before: int) -> None:
    """Hide those of these flows that may still be deleted; one that somebody has just locked is left for later."""
    locked = await connection.scalars(
        select(Flow.id)
        .where(one_of(connection, Flow.id, flow_ids), *_over(before))
        .order_by(Flow.id)
        .with_for_update(skip_locked=True)
    )
    await hide(connection, list(locked))


async def hide(connection: Transaction, flow_ids: Sequence[str]) -> None:
    """Give these flows to nobody. The caller has their locks, and has seen that they may go."""
    await users.ensure_nobody(connection)
    await connection.execute(delete(IdempotencyKey).where(one_of(connection, IdempotencyKey.flow_id, flow_ids)))
    await usage.give_back(connection, flow_ids)
    await connection.execute(
        update(Flow)
        .where(one_of(connection, Flow.id, flow_ids))
        .values(user_id=users.NOBODY)
        .execution_options(synchronize_session=False)
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Hidden:
    """A flow that belongs to nobody, and about how many rows it has; log lines are not counted."""

    id: str
    rows: int


async def hidden(connection: Transaction, limit: int) -> list[Hidden]:
    """Flows that are to be erased."""
    words = _hidden(connection.dialect.name)
    found = await connection.run(lambda driver: words.rows(driver, most=limit))
    return [Hidden(id=flow_id, rows=rows) for flow_id, rows in found]


@cache
def _hidden(dialect: str) -> Words:
    rows = Flow.last_seq + ALL_JOBS
    query = select(Flow.id, rows).where(Flow.user_id == users.NOBODY).order_by(Flow.id).limit(bindparam("most"))
    return Words(query, dialect)


class Eraser:
    """Erases hidden flows in pieces whose size follows from how long the last ones took."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._rows = MOST_ROWS // 4

    async def erase(self, flows: Sequence[Hidden]) -> None:
        """Erase these flows, small ones together; raises StoreAway."""
        for group in in_groups(flows, lambda flow: flow.rows, MOST_ROWS):
            flow_ids = [flow.id for flow in group]
            while not await self._piece(flow_ids):
                pass

    async def _piece(self, flow_ids: Sequence[str]) -> bool:
        """Erase some rows of these flows; True when nothing is left of them."""
        now = asyncio.get_running_loop().time
        async with self._database.write(replayable=True) as transaction:
            locked = await _hidden_of(transaction, flow_ids)
            began = now()
            done = await erase_rows(transaction, locked, self._rows)
            took = now() - began
        self._rows = next_size(self._rows, took)
        await asyncio.sleep(took)  # others, also of other processes, have as much time for themselves
        return done


def next_size(rows: int, took: float) -> int:
    """How many rows the next piece may have, when one of so many took so many seconds."""
    if took > TOO_LONG:
        return max(FEWEST_ROWS, rows // 2)
    return min(MOST_ROWS, rows * 2) if took < TOO_LONG / 4 else rows


async def _hidden_of(connection: Transaction, flow_ids: Sequence[str]) -> list[str]:
    """Those of these flows that are hidden, locked."""
    locked = await connection.scalars(
        select(Flow.id)
        .where(one_of(connection, Flow.id, flow_ids), Flow.user_id == users.NOBODY)
        .order_by(Flow.id)
        .with_for_update()
    )
    return list(locked)


async def erase_rows(connection: Transaction, flow_ids: Sequence[str], most: int) -> bool:
    """Erase about `most` rows of these flows, which are hidden and locked; True when nothing is left of them."""
    left = most - await _erase_newest(connection, Flow.id, LogEntry.flow_id, LogEntry.seq, flow_ids, most)
    if left > 0:
        left -= await _erase_jobs(connection, flow_ids, left)
    if left <= 0:
        return False
    await connection.execute(delete(Flow).where(one_of(connection, Flow.id, flow_ids)))
    return True


async def _erase_jobs(connection: Transaction, flow_ids: Sequence[str], most: int) -> int:
    """Children stand behind their parents, so none is taken along by a parent's end."""
    newest = await connection.scalars(
        select(FlowJob.id)
        .where(one_of(connection, FlowJob.flow_id, flow_ids))
        .order_by(FlowJob.flow_id.desc(), FlowJob.position.desc())
        .limit(most)
    )
    job_ids = list(newest)
    lines = await _erase_newest(connection, FlowJob.id, JobLogLine.id, JobLogLine.n, job_ids, most)
    if lines >= most:
        return lines
    await connection.execute(delete(FlowJob).where(one_of(connection, FlowJob.id, job_ids)))
    return lines + len(job_ids)


Column = InstrumentedAttribute[Any]


async def _erase_newest(
    connection: Transaction, owner: Column, owned_by: Column, number: Column, ids: Sequence[str], most: int
) -> int:
    """Erase the last `most` of the numbered rows that these owners have; returns how many numbers that were.

    Said as ranges, which both databases read by the key; SQLite would compare every row of an owner with a list.
    """
    last, first = (select(end(number)).where(owned_by == owner).scalar_subquery() for end in (func.max, func.min))
    rows = await connection.execute(
        select(owner.label("id"), last.label("last"), first.label("first")).where(one_of(connection, owner, ids))
    )
    ranges, left = [], most
    for row in rows:
        if row.last is not None and left > 0:
            length = min(left, row.last - row.first + 1)
            ranges.append({"owner": row.id, "from": row.last - length + 1})
            left -= length
    if ranges:
        await connection.execute(
            delete(owned_by.class_).where(owned_by == bindparam("owner"), number >= bindparam("from")), ranges
        )
    return most - left
