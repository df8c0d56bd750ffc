"""Commands as real processes, which can be stopped and killed like real ones."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[2]


class Process:
    """One running command. Its output goes to a file, which an assertion can quote."""

    def __init__(self, command: Sequence[str], log: Path, environment: Mapping[str, str]) -> None:
        self._command = command
        self._log = log
        with log.open("ab") as output:
            self._popen = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=output,
                cwd=ROOT,
                env={**os.environ, **environment},
                text=True,
            )

    @property
    def pid(self) -> int:
        return self._popen.pid

    def first_line(self) -> str:
        """What the command says when it is ready; an AssertionError with its log when it ends instead."""
        assert self._popen.stdout is not None
        line = self._popen.stdout.readline().strip()
        assert line, f"{self._command} ended with {self._popen.wait()}:\n{self.log()}"
        return line

    def lines(self) -> list[str]:
        """All that the command says; returns when it has ended."""
        assert self._popen.stdout is not None
        return self._popen.stdout.read().splitlines()

    def log(self) -> str:
        return self._log.read_text()

    def kill(self) -> None:
        """kill -9."""
        self._popen.kill()
        self._popen.wait()
        self._close()

    def stop(self, number: int = signal.SIGTERM, within: float = 30) -> int:
        """Ask it to stop; returns its exit code."""
        if self._popen.poll() is None:
            self._popen.send_signal(number)
        try:
            return self._popen.wait(within)
        finally:
            self._close()

    def ended(self, within: float = 30) -> int:
        """The exit code of a command that ends by itself."""
        try:
            return self._popen.wait(within)
        finally:
            self._close()

    def is_running(self) -> bool:
        return self._popen.poll() is None

    def _close(self) -> None:
        if self._popen.stdout is not None:
            self._popen.stdout.close()


class Processes:
    """bullflow's processes of one test, with the settings that they share; none outlives the test."""

    def __init__(self, folder: Path, **environment: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._environment = {f"BULLFLOW_{name.upper()}": value for name, value in environment.items()}
        self._started: list[Process] = []

    def start(self, *arguments: str) -> Process:
        log = self._folder / f"{len(self._started)}-{arguments[0]}.log"
        process = Process([sys.executable, "-m", "bullflow.cli.main", *arguments], log, self._environment)
        self._started.append(process)
        return process

    def start_ready(self, *arguments: str) -> tuple[Process, str]:
        """Start a service; returns the address that it says it is ready at."""
        process = self.start(*arguments)
        return process, process.first_line().rpartition(" ")[2]

    def end_all(self) -> None:
        for process in reversed(self._started):
            if process.is_running():
                process.kill()


@contextmanager
def processes(folder: Path, **environment: str) -> Iterator[Processes]:
    """Processes with these settings (`redis_url="…"`), killed when the block ends."""
    started = Processes(folder, **environment)
    try:
        yield started
    finally:
        started.end_all()
