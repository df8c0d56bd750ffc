"""The service in processes of its own, on a new data directory, for the length of a measurement."""

import asyncio
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import psutil
from redis import Redis

from bullflow.engine.address import url_file
from bullflow.engine.embedded import EmbeddedEngine

NOOP = ("bench.noop:worker",)


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """A service that answers. `parts` are its processes by the names of their commands."""

    url: str
    parts: Mapping[str, psutil.Process]
    data_dir: Path
    engine_url: str

    @property
    def process(self) -> psutil.Process:
        """The process that holds everything, or the service's."""
        return next(iter(self.parts.values()))

    def engine(self) -> psutil.Process:
        """The Valkey."""
        with Redis.from_url(self.engine_url) as client:
            return psutil.Process(client.info("server")["process_id"])


@contextmanager
def up(
    database_url: str | None = None,
    workers: Sequence[str] = NOOP,
    *,
    command: str = "bullflow.cli.main",
    data_dir: Path | None = None,
    settings: Mapping[str, str] = MappingProxyType({}),
) -> Iterator[Running]:
    """`bullflow up` with these workers; SQLite without a url. The settings are named as in the environment."""
    with ExitStack() as stack:
        folder = data_dir or _folder(stack)
        part = stack.enter_context(_part(["up", *workers, "--port", "0"], folder, database_url, settings, command))
        yield Running(
            url=part.first_line.split()[-1],
            parts={"up": part.process},
            data_dir=folder,
            engine_url=url_file(folder).read_text().strip(),
        )


@contextmanager
def apart(database_url: str | None = None, workers: Sequence[str] = NOOP) -> Iterator[Running]:
    """`bullflow api`, `recorder` and, if any, `worker` as processes of their own."""
    with ExitStack() as stack:
        folder = _folder(stack)
        engine = EmbeddedEngine(folder)
        asyncio.run(engine.start())
        stack.callback(lambda: asyncio.run(engine.stop()))
        _run(["db", "upgrade"], folder, database_url)
        commands = {"api": ["api", "--port", "0"], "recorder": ["recorder"]}
        parts = {name: stack.enter_context(_part(command, folder, database_url)) for name, command in commands.items()}
        processes = {name: part.process for name, part in parts.items()}
        if workers:
            processes["worker"] = stack.enter_context(_part(["worker", *workers], folder, None)).process
        yield Running(url=parts["api"].first_line.split()[-1], parts=processes, data_dir=folder, engine_url=engine.url)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Part:
    process: psutil.Process
    first_line: str


@contextmanager
def _part(
    arguments: Sequence[str],
    folder: Path,
    database_url: str | None,
    settings: Mapping[str, str] = MappingProxyType({}),
    command: str = "bullflow.cli.main",
) -> Iterator[_Part]:
    """A process of bullflow, when it has said that it is ready; a worker says nothing."""
    flags = ["--data-dir", str(folder), "--log-level", "warning"]
    flags += ["--database-url", database_url] if database_url else []
    log = folder.with_name(f"{folder.name}-{arguments[0]}.log")
    with log.open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", command, *arguments, *flags],
            env={**os.environ, **settings},
            stdout=subprocess.PIPE,
            stderr=file,
            text=True,
        )
    assert process.stdout is not None
    try:
        line = "" if arguments[0] == "worker" else process.stdout.readline()
        if not line and arguments[0] != "worker":
            raise SystemExit(log.read_text())
        yield _Part(process=psutil.Process(process.pid), first_line=line)
    finally:
        process.terminate()
        process.wait(60)
        process.stdout.close()
        log.unlink()


def _run(arguments: Sequence[str], folder: Path, database_url: str | None) -> None:
    flags = ["--data-dir", str(folder), *(["--database-url", database_url] if database_url else [])]
    subprocess.run([sys.executable, "-m", "bullflow.cli.main", *arguments, *flags], check=True, stdout=sys.stderr)


def _folder(stack: ExitStack) -> Path:
    return Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bullflow-bench-"))) / "data"
