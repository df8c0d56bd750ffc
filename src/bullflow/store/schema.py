"""The schema's version: bring it up to date, or say that it is not."""

import time
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, create_engine, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.pool import NullPool

from bullflow.store.database import dialect_of, driver_url
from bullflow.store.trouble import is_wrong, store_away

BUSY_SECONDS = 20
# Any number will do, as long as every bullflow uses the same one for this lock.
_MIGRATION_LOCK = 8420_2026


def upgrade(url: str) -> tuple[str | None, str]:
    """Bring the schema to the newest revision; returns the revision before and after. Blocks."""
    config = _config()
    try:
        with _engine(url).connect() as connection:
            _lock(connection)
            before = MigrationContext.configure(connection).get_current_revision()
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
            connection.commit()
    except OperationalError as error:
        if is_wrong(error):
            raise
        raise store_away(error) from error
    return before, newest()


def shown(revision: str | None) -> str:
    """A revision in words; None is an empty database."""
    return "the database has no tables yet" if revision is None else f"the database is at revision {revision}"


def current(url: str) -> str | None:
    """The revision of the schema, None for an empty database. Blocks."""
    try:
        with _engine(url).connect() as connection:
            return MigrationContext.configure(connection).get_current_revision()
    except OperationalError as error:
        raise store_away(error) from error


def newest() -> str:
    """The revision that this code needs."""
    return ScriptDirectory.from_config(_config()).get_current_head() or ""


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    return config


def _engine(url: str) -> Engine:
    arguments = {"timeout": BUSY_SECONDS} if dialect_of(url) == "sqlite" else {"connect_timeout": 5}
    return create_engine(driver_url(url), connect_args=arguments, poolclass=NullPool)


def _lock(connection: Connection) -> None:
    """Let one process migrate at a time; the others wait here and then find nothing to do."""
    if connection.dialect.name == "sqlite":
        _switch_to_wal(connection)
        connection.exec_driver_sql("BEGIN IMMEDIATE")
    else:
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _MIGRATION_LOCK})


def _switch_to_wal(connection: Connection) -> None:
    """Unlike all else in SQLite, the switch does not wait while others read or switch as well; so ask again."""
    give_up_at = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            connection.exec_driver_sql("PRAGMA journal_mode = WAL")
        except OperationalError:
            if time.monotonic() > give_up_at:
                raise
            time.sleep(0.01)
        else:
            return
