"""The migrations lead from nothing to the models and back, once, whoever asks and however often."""

import sqlite3
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, NullPool, TextClause, create_engine, inspect, text

from bullflow.errors import StoreAway
from bullflow.store import schema
from bullflow.store.database import Database, driver_url
from bullflow.store.tables import Base, Flow
from support.flows import Submitter, how_many, node
from support.servers import DatabaseServer, PostgresServer


@pytest.fixture
def empty_url(databases: DatabaseServer, tmp_path: Path) -> str:
    """A database without any tables."""
    return databases.empty_database() if isinstance(databases, PostgresServer) else f"sqlite:///{tmp_path}/empty.db"


def test_an_empty_database_has_no_revision(empty_url: str) -> None:
    assert schema.current(empty_url) is None
    assert _tables(empty_url) == set()


def test_an_upgrade_leads_from_nothing_to_the_newest(empty_url: str) -> None:
    before, after = schema.upgrade(empty_url)

    assert (before, after) == (None, schema.newest())
    assert schema.current(empty_url) == schema.newest()
    assert _tables(empty_url) == {*Base.metadata.tables, "alembic_version"}


async def test_a_second_upgrade_finds_nothing_to_do_and_loses_nothing(empty_url: str) -> None:
    schema.upgrade(empty_url)
    database = Database(empty_url)
    await Submitter(database).one(node())

    assert schema.upgrade(empty_url) == (schema.newest(), schema.newest())

    assert await how_many(database, Flow) == 1
    await database.close()


def test_of_many_upgrades_at_once_one_does_the_work(empty_url: str) -> None:
    start = Barrier(6)

    def upgrade() -> tuple[str | None, str]:
        start.wait()
        return schema.upgrade(empty_url)

    with ThreadPoolExecutor(6) as threads:
        answers = [each.result() for each in [threads.submit(upgrade) for _ in range(6)]]

    assert sorted(answers, key=str) == [(schema.newest(), schema.newest())] * 5 + [(None, schema.newest())]
    with _connected(empty_url) as connection:
        assert list(connection.scalars(text("SELECT version_num FROM alembic_version"))) == [schema.newest()]


def test_an_upgrade_waits_while_somebody_writes_into_a_new_file_of_sqlite(tmp_path: Path) -> None:
    other = sqlite3.connect(tmp_path / "bullflow.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")

    with ThreadPoolExecutor(1) as threads:
        upgrading = threads.submit(schema.upgrade, f"sqlite:///{tmp_path}/bullflow.db")
        done, _ = wait([upgrading], timeout=0.2)
        other.execute("COMMIT")
        other.close()

    assert not done
    assert upgrading.result() == (None, schema.newest())


def test_the_tables_are_those_of_the_models(empty_url: str) -> None:
    schema.upgrade(empty_url)

    with _connected(empty_url) as connection:
        options = {"compare_type": True, "compare_server_default": True}
        assert compare_metadata(MigrationContext.configure(connection, opts=options), Base.metadata) == []


def test_every_constraint_and_index_is_that_of_the_models(databases: DatabaseServer, empty_url: str) -> None:
    """Alembic compares neither keys nor the conditions of indexes, so both schemas are written out and compared."""
    made_from_models = _new_empty(databases, empty_url)
    with _connected(made_from_models) as connection:
        Base.metadata.create_all(connection)
        connection.commit()

    schema.upgrade(empty_url)

    assert _written_out(empty_url) == _written_out(made_from_models)


def test_the_log_of_sqlite_lies_in_the_order_of_its_key(tmp_path: Path) -> None:
    schema.upgrade(f"sqlite:///{tmp_path}/bullflow.db")

    with sqlite3.connect(tmp_path / "bullflow.db") as connection:
        ((statement,),) = connection.execute("SELECT sql FROM sqlite_master WHERE name = 'flow_log'")
        ((journal,),) = connection.execute("PRAGMA journal_mode")
    connection.close()
    assert statement.split()[-2:] == ["WITHOUT", "ROWID"]
    assert journal == "wal"


def test_a_downgrade_to_the_beginning_leaves_nothing(empty_url: str) -> None:
    schema.upgrade(empty_url)

    _downgrade(empty_url)

    assert schema.current(empty_url) is None
    assert _tables(empty_url) == {"alembic_version"}


def test_an_upgrade_after_a_downgrade_gives_the_same_tables(empty_url: str) -> None:
    schema.upgrade(empty_url)
    before = _written_out(empty_url)

    _downgrade(empty_url)
    schema.upgrade(empty_url)

    assert _written_out(empty_url) == before


def test_an_upgrade_that_fails_half_way_leaves_nothing(empty_url: str) -> None:
    with _connected(empty_url) as connection:
        connection.execute(text("CREATE TABLE flow_tags (in_the_way INTEGER)"))
        connection.commit()

    with pytest.raises(Exception, match="already exists") as failed:
        schema.upgrade(empty_url)

    assert not isinstance(failed.value, StoreAway)
    assert schema.current(empty_url) is None
    assert _tables(empty_url) == {"flow_tags"}


def test_the_revisions_form_one_line() -> None:
    scripts = ScriptDirectory.from_config(schema._config())

    assert len(scripts.get_heads()) == 1
    assert len(scripts.get_bases()) == 1
    assert schema.newest() == scripts.get_current_head()


@contextmanager
def _connected(url: str) -> Iterator[Connection]:
    engine = create_engine(driver_url(url), poolclass=NullPool)
    with engine.connect() as connection:
        yield connection


def _new_empty(databases: DatabaseServer, empty_url: str) -> str:
    return databases.empty_database() if isinstance(databases, PostgresServer) else f"{empty_url}.models"


def _tables(url: str) -> set[str]:
    with _connected(url) as connection:
        return set(inspect(connection).get_table_names())


def _downgrade(url: str) -> None:
    config = schema._config()
    with _connected(url) as connection:
        config.attributes["connection"] = connection
        command.downgrade(config, "base")
        connection.commit()


def _written_out(url: str) -> list[str]:
    """Every column, constraint and index as the database describes it, in a fixed order."""
    with _connected(url) as connection:
        inspector = inspect(connection)
        return sorted(
            f"{table} {kind} {_plain(each)}"
            for table in inspector.get_table_names()
            if table != "alembic_version"
            for kind, items in (
                ("column", inspector.get_columns(table)),
                ("key", [inspector.get_pk_constraint(table)]),
                ("foreign key", inspector.get_foreign_keys(table)),
                ("unique", inspector.get_unique_constraints(table)),
                ("check", inspector.get_check_constraints(table)),
                ("index", inspector.get_indexes(table)),
            )
            for each in items
        )


def _plain(value: Any) -> str:
    """A description as text: mappings in the order of their keys, conditions as SQL."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {_plain(value[key])}" for key in sorted(value)) + "}"
    return str(value) if isinstance(value, TextClause) else repr(value)
