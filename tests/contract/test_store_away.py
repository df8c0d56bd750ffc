"""A database that cannot be reached is StoreAway, and is used again as soon as it is back; a fault of ours is not."""

import socket
from pathlib import Path

import pytest
from sqlalchemy import func, select, text
from sqlalchemy.exc import DBAPIError, IntegrityError

from bullflow.errors import StoreAway
from bullflow.store import schema, streams
from bullflow.store.database import Database
from bullflow.store.sql import Words
from bullflow.store.transaction import Transaction


async def test_sqlite_in_a_folder_that_is_missing_is_away(tmp_path: Path) -> None:
    await _assert_away(f"sqlite:///{tmp_path}/missing/bullflow.db")


async def test_postgres_on_a_port_that_is_closed_is_away() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]

    await _assert_away(f"postgresql://bullflow@127.0.0.1:{port}/bullflow")


async def test_a_file_that_is_no_database_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "bullflow.db").write_text("no database at all" * 100)
    database = Database(f"sqlite:///{tmp_path}/bullflow.db")

    with pytest.raises((StoreAway, DBAPIError), match="not a database"):
        await _know(database, "video")

    await database.close()


async def test_the_schema_of_a_database_that_is_away_says_so(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/missing/bullflow.db"

    with pytest.raises(StoreAway):
        schema.current(url)
    with pytest.raises(StoreAway):
        schema.upgrade(url)


@pytest.mark.parametrize("databases", ["postgres"], indirect=True)
async def test_a_connection_that_is_cut_is_away_and_the_next_call_finds_a_new_one(database: Database) -> None:
    await _know(database, "video")

    with pytest.raises(StoreAway):
        await _cut(database)

    await _know(database, "audio")
    async with database.read() as snapshot:
        assert sorted(await streams.positions(snapshot)) == ["audio", "video"]


@pytest.mark.parametrize("databases", ["postgres"], indirect=True)
async def test_a_look_that_is_cut_off_tells_why_and_the_next_one_finds_another_connection(database: Database) -> None:
    end = Words(select(func.pg_terminate_backend(func.pg_backend_pid())), database.dialect)

    async def cut_off(transaction: Transaction) -> None:
        await transaction.run(end.rows)

    with pytest.raises(StoreAway, match="administrator command"):
        await database.look(cut_off)

    assert await database.look(streams.positions) == {}


@pytest.mark.parametrize("statement", ["SELECT * FROM missing", "SELECT 1 FROM FROM", "INSERT INTO users VALUES (1)"])
async def test_a_statement_that_is_wrong_is_not_taken_for_a_database_that_is_away(
    database: Database, statement: str
) -> None:
    with pytest.raises(DBAPIError):
        await _run(database, statement)

    await _know(database, "video")


async def test_a_row_that_breaks_a_rule_is_not_taken_for_a_database_that_is_away(database: Database) -> None:
    await _know(database, "video")

    with pytest.raises(IntegrityError):
        await _run(database, "INSERT INTO stream_positions VALUES ('video', '0-0')")


async def test_a_flow_of_nobody_is_refused(database: Database) -> None:
    with pytest.raises(IntegrityError):
        await _run(database, "INSERT INTO flow_tags VALUES ('tag', 'nobody')")


async def _assert_away(url: str) -> None:
    database = Database(url)
    with pytest.raises(StoreAway):
        await _know(database, "video")
    with pytest.raises(StoreAway):
        async with database.read() as snapshot:
            await snapshot.exec_driver_sql("SELECT 1")
    await database.close()


async def _know(database: Database, queue: str) -> None:
    async with database.write() as transaction:
        await streams.know(transaction, [queue])


async def _run(database: Database, statement: str) -> None:
    async with database.write() as transaction:
        await transaction.execute(text(statement))


async def _cut(database: Database) -> None:
    """Two writers, of whom the second ends the first one's session on the server."""
    async with database.write() as victim:
        pid = await victim.scalar(text("SELECT pg_backend_pid()"))
        async with database.write() as killer:
            await killer.execute(text("SELECT pg_terminate_backend(:pid, 5000)"), {"pid": pid})
        await streams.know(victim, ["never"])
