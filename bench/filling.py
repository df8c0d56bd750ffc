"""Fills a store with copies of one completed flow, straight in its tables: millions would take too long by REST.

The copies are older than the flow they are made from. They have no log: what reads flows and jobs does not look there.
"""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Any

import psycopg

FLOWS_A_COMMIT = 20_000
OLDER = 86_400_000
"""How much older the first copy's id is, in milliseconds: room for so many copies."""

_TIMES = ("created_at", "updated_at", "finished_at")

Execute = Callable[[str], Any]


def copy_id(template: str, number: int) -> str:
    """The flow id of a copy."""
    time = f"{_base(template) + number:012x}"
    return f"{time[:8]}-{time[8:]}-7000-8000-000000000000"


def fill(store_url: str, template: str, first: int, end: int) -> None:
    """Copies number `first` up to `end` of the flow with this id. The service must be down."""
    base = _base(template)
    with _connected(store_url) as (execute, columns):
        flows, jobs = columns("flows"), columns("flow_jobs")
        for start in range(first, end, FLOWS_A_COMMIT):
            numbers = _numbers(start, min(end, start + FLOWS_A_COMMIT))
            execute("BEGIN")
            execute(_copy("flows", flows, _flow_values(base), f"id = '{template}'", numbers, "n.i"))
            execute(_copy("flow_jobs", jobs, _job_values(base), f"flow_id = '{template}'", numbers, "n.i, t.position"))
            execute("COMMIT")
        execute("ANALYZE")


def _base(template: str) -> int:
    return int(template.replace("-", "")[:12], 16) - OLDER


def _copy(table: str, columns: list[str], values: dict[str, str], where: str, numbers: str, order: str) -> str:
    names = ", ".join(columns)
    chosen = ", ".join(values.get(column, f"t.{column}") for column in columns)
    return (
        f"INSERT INTO {table} ({names}) {numbers} "
        f"SELECT {chosen} FROM n CROSS JOIN (SELECT * FROM {table} WHERE {where}) AS t ORDER BY {order}"
    )


def _numbers(start: int, end: int) -> str:
    return f"WITH RECURSIVE n(i) AS (SELECT CAST({start} AS BIGINT) UNION ALL SELECT i + 1 FROM n WHERE i + 1 < {end})"


def _flow_values(base: int) -> dict[str, str]:
    # Their times are those of their ids: what has ended just now is looked at again when a service starts.
    at = f"{base} + n.i"
    return {"id": _id(base, "0"), "root_id": _id(base, "1"), **dict.fromkeys(_TIMES, at)}


def _job_values(base: int) -> dict[str, str]:
    key, root = _id(base, "t.position + 1"), _id(base, "1")
    return {
        "id": key,
        "job_id": f"{key} || '-1'",
        "flow_id": _id(base, "0"),
        "parent_id": f"CASE WHEN t.parent_id IS NULL THEN NULL ELSE {root} END",
    }


def _id(base: int, part: str) -> str:
    """An id that sorts by the copy's number and by the part within it."""
    time = f"hex12({base} + n.i)"
    return f"substr({time}, 1, 8) || '-' || substr({time}, 9, 4) || '-7000-8000-' || hex12({part})"


@contextmanager
def _connected(store_url: str) -> Iterator[tuple[Execute, Callable[[str], list[str]]]]:
    """What executes a statement, and what gives a table's columns. `hex12` writes a number in 12 digits."""
    if store_url.startswith("sqlite:///"):
        with closing(sqlite3.connect(store_url.removeprefix("sqlite:///"), isolation_level=None)) as database:
            for pragma in ("synchronous = OFF", "cache_size = -200000", "foreign_keys = OFF"):
                database.execute(f"PRAGMA {pragma}")

            yield (
                lambda statement: database.execute(statement.replace("hex12(", "printf('%012x', ")),
                lambda table: [row[1] for row in database.execute(f"PRAGMA table_info({table})")],
            )
        return
    with psycopg.connect(store_url, autocommit=True) as connection:
        # Foreign keys are not looked up for each row; the copies are right.
        connection.execute("SET session_replication_role = replica")
        connection.execute("SET synchronous_commit = off")
        connection.execute(
            "CREATE FUNCTION pg_temp.hex12(n bigint) RETURNS text IMMUTABLE LANGUAGE sql "
            "AS $$ SELECT lpad(to_hex(n), 12, '0') $$"
        )

        def columns(table: str) -> list[str]:
            found = connection.execute(
                "SELECT column_name FROM information_schema.columns WHERE table_name = %s AND table_schema = 'public' "
                "ORDER BY ordinal_position",
                [table],
            )
            return [name for (name,) in found]

        def execute(statement: Any) -> Any:
            return connection.execute(statement.replace("hex12(", "pg_temp.hex12("))

        yield execute, columns
