"""How a database would answer a query: the plans of the statements that the real calls send."""

import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from unittest.mock import patch

from sqlalchemy import Connection, Engine, event, text

from bullflow.store.database import Database
from bullflow.store.sql import Words
from bullflow.store.transaction import Transaction

Query = Callable[[Transaction], Awaitable[Any]]

_FIRST_INDEX = re.compile(
    r"(?:USING (?:COVERING )?INDEX|Index Scan on|(?:Backward|Scan) using) (\w+)|USING (PRIMARY KEY)"
)


async def explained(database: Database, query: Query) -> str:
    """The plans of the statements that a call sends, one paragraph each."""
    sent: list[tuple[str, Any]] = []

    def note(_connection: Any, _cursor: Any, statement: str, parameters: Any, _context: Any, _many: bool) -> None:
        sent.append((statement, parameters))

    rows = Words.rows

    def note_words(words: Words, connection: Connection, **values: Any) -> list[tuple[Any, ...]]:
        sent.append((words.text, words.parameters(values)))
        return rows(words, connection, **values)

    explain = "EXPLAIN QUERY PLAN " if database.dialect == "sqlite" else "EXPLAIN (COSTS OFF) "
    async with database.write() as connection:
        if database.dialect == "postgresql":
            # So small a table fits into memory; that of a store that has grown does not.
            await connection.execute(text("SET LOCAL enable_seqscan = off"))
            await connection.execute(text("SET LOCAL enable_bitmapscan = off"))
        event.listen(Engine, "before_cursor_execute", note)
        try:
            with patch.object(Words, "rows", note_words):
                await query(connection)
        finally:
            event.remove(Engine, "before_cursor_execute", note)
        sent = [(statement, parameters) for statement, parameters in sent if not statement.startswith("BEGIN")]
        plans = [await connection.exec_driver_sql(explain + statement, parameters) for statement, parameters in sent]
        return "\n\n".join("\n".join(str(row[-1]) for row in plan) for plan in plans)


def first_index(plan: str, sqlite_names: Mapping[str, str]) -> str:
    """The index that a plan begins with, by Postgres' name of it."""
    used = _FIRST_INDEX.search(plan)
    assert used, plan
    return sqlite_names.get(used[used.lastindex or 0], used[1])
