"""Commands as real processes, which can be stopped and killed like real ones."""

import multiprocessing
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import import_module
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import IO, Protocol

ROOT = Path(__file__).parents[2]


class Child(Protocol):
    """What a `subprocess.Popen` and a forked process have in common."""

    @property
    def pid(self) -> int: ...

    def poll(self) -> int | None: ...

    def wait(self, timeout: float | None = None) -> int: ...

    def send_signal(self, sig: int) -> None: ...


class Process:
    """One running command. Its output goes to a file, which an assertion can quote."""

    def __init__(self, command: Sequence[str], child: Child, output: IO[str], log: Path) -> None:
        self._command = command
        self._child = child
        self._output = output
        self._log = log

    @property
    def pid(self) -> int:
        return self._child.pid

    def first_line(self) -> str:
        """What the command says when it is ready; an AssertionError with its log when it ends instead."""
        line = self._output.readline().strip()
        assert line, f"{self._command} ended with {self._child.wait()}:\n{self.log()}"
        return line

    def lines(self) -> list[str]:
        """All that the command says; returns when it has ended."""
        return self._output.read().splitlines()

    def log(self) -> str:
        return self._log.read_text()

    def kill(self) -> None:
        """kill -9."""
        self.stop(signal.SIGKILL)

    def stop(self, number: int = signal.SIGTERM, within: float = 30) -> int:
        """Ask it to stop; returns its exit code."""
        if self.is_running():
            self._child.send_signal(number)
        return self.ended(within)

    def ended(self, within: float = 30) -> int:
        """The exit code of a command that ends by itself."""
        try:
            return self._child.wait(within)
        finally:
            self._output.close()

    def is_running(self) -> bool:
        return self._child.poll() is None


def started(command: Sequence[str], log: Path, environment: Mapping[str, str]) -> Process:
    """A program of any kind."""
    with log.open("ab") as errors:
        child = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            cwd=ROOT,
            env={**os.environ, **environment},
            text=True,
        )
    assert child.stdout is not None
    return Process(command, child, child.stdout, log)


# --- bullflow's own commands --------------------------------------------------------------------------------

# Importing takes longer than all else that a command does when it starts. So there is one process that has imported
# everything, and each command is forked from it: a process of its own, with the settings, signals and exit codes of
# one that was started from a shell (the chaos ring and the demo's tests start theirs so).
_forks = multiprocessing.get_context("forkserver")
_forks.set_forkserver_preload(["bullflow.cli.main", "bullflow.cli.server", "bullflow.cli.worker"])


class _Forked:
    def __init__(self, process: ForkServerProcess) -> None:
        assert process.pid is not None
        self.pid = process.pid
        self._process = process

    def poll(self) -> int | None:
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        self._process.join(timeout)
        code = self._process.exitcode
        if code is None:
            raise TimeoutError(f"process {self.pid} has not ended within {timeout} s")
        return code

    def send_signal(self, sig: int) -> None:
        os.kill(self.pid, sig)


def forked(arguments: Sequence[str], log: Path, environment: Mapping[str, str]) -> Process:
    """A command of bullflow."""
    pipe = log.with_suffix(".out")
    os.mkfifo(pipe)
    process = _forks.Process(target=_command, args=(list(arguments), pipe, log, dict(environment)))
    process.start()
    return Process(arguments, _Forked(process), pipe.open(), log)


def _command(arguments: list[str], output: Path, errors: Path, environment: dict[str, str]) -> None:
    for path, number in ((output, 1), (errors, 2)):
        opened = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.dup2(opened, number)
        os.close(opened)
    os.chdir(ROOT)
    os.environ.update(environment)
    sys.argv[1:] = arguments
    import_module("bullflow.cli.main").main()


class Processes:
    """bullflow's processes of one test, with the settings that they share; none outlives the test."""

    def __init__(self, folder: Path, **environment: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._environment = {f"BULLFLOW_{name.upper()}": value for name, value in environment.items()}
        self._started: list[Process] = []

    def start(self, *arguments: str) -> Process:
        log = self._folder / f"{len(self._started)}-{arguments[0]}.log"
        process = forked(arguments, log, self._environment)
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
