"""`bullflow up` with the video worker as a child process: started, waited for, and stopped with all that it started."""

import asyncio
import os
import signal
import socket
import sys
from asyncio.subprocess import DEVNULL, STDOUT, Process
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import IO

import httpx

from bullflow.engine.embedded import EmbeddedEngine
from examples.video import outputs

START_LIMIT = 60.0
STOP_LIMIT = 20.0
END_LIMIT = 2.0
PAUSE = 0.1
LOG_NAME = "service.log"
LOG_LINES = 30
# The command of this very environment, whether or not its scripts are on the path.
BULLFLOW = "bullflow.cli.main"
ROOT = Path(__file__).parents[2]


class ServiceFailed(Exception):
    """The service did not start or did not last."""


class Service:
    """The child process. It is the signal for `unless_aborted`: given when the process ends by itself."""

    def __init__(self, process: Process, url: str, log: Path) -> None:
        self._process = process
        self.url = url
        self.log = log

    @property
    def has_ended(self) -> bool:
        return self._process.returncode is not None

    @property
    def reason(self) -> str:
        return f"the service has ended with exit code {self._process.returncode}"

    async def wait(self) -> None:
        await self._process.wait()

    async def failure(self, error: Exception) -> Exception:
        """Why `error` came about: the end of the service, if it has ended or does so in a moment; or itself."""
        with suppress(TimeoutError):
            async with asyncio.timeout(END_LIMIT):
                await self._process.wait()
        return ServiceFailed(self.reason) if self.has_ended else error

    async def is_ready(self) -> None:
        """Return when it takes requests; raises ServiceFailed with the end of its log."""
        try:
            # No proxy of the environment stands between us and our own machine.
            async with asyncio.timeout(START_LIMIT), httpx.AsyncClient(trust_env=False) as client:
                while not await _answers(client, f"{self.url}/readyz"):
                    if self.has_ended:
                        raise ServiceFailed(f"{self.reason}. The end of its log:\n{self._end_of_log()}")
                    await asyncio.sleep(PAUSE)
        except TimeoutError:
            message = f"the service is not ready after {START_LIMIT:g} s. The end of its log:\n{self._end_of_log()}"
            raise ServiceFailed(message) from None

    def _end_of_log(self) -> str:
        lines = self.log.read_text(encoding="utf-8", errors="replace").splitlines()
        return "\n".join(f"  {line}" for line in lines[-LOG_LINES:]) or "  (empty)"


@asynccontextmanager
async def running_service(data_dir: Path) -> AsyncIterator[Service]:
    """A ready service with the embedded database and engine, which is gone after the block, however that ends."""
    port = _free_port()
    with _open_log(data_dir) as log:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", BULLFLOW, "up", "examples.video:worker"),
            *("--host", "127.0.0.1", "--port", str(port), "--data-dir", str(data_dir)),
            stdin=DEVNULL,
            stdout=log,
            stderr=STDOUT,
            cwd=ROOT,
            env=_environment(os.environ),
            process_group=0,  # Ctrl-C in the terminal is for us alone; we stop the service in good order
        )
    try:
        service = Service(process, f"http://127.0.0.1:{port}", data_dir / LOG_NAME)
        await service.is_ready()
        yield service
    finally:
        await _stop(process, data_dir)


def _open_log(data_dir: Path) -> IO[bytes]:
    data_dir.mkdir(parents=True, exist_ok=True)
    return (data_dir / LOG_NAME).open("wb")


async def _answers(client: httpx.AsyncClient, url: str) -> bool:
    with suppress(httpx.TransportError):
        return (await client.get(url)).status_code == httpx.codes.OK
    return False


async def _stop(process: Process, data_dir: Path) -> None:
    try:
        if process.returncode is None:
            process.terminate()
        async with asyncio.timeout(STOP_LIMIT):
            await process.wait()
    except TimeoutError:
        pass  # it has had its chance
    finally:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()
        # A service that was killed leaves its engine running, in a session of its own, to go on with it later.
        await EmbeddedEngine(data_dir).stop()


def _environment(ours: Mapping[str, str]) -> dict[str, str]:
    """Ours, without settings that lead to another database or engine, and with the same output folder."""
    kept = {key: value for key, value in ours.items() if not key.startswith("BULLFLOW_")}
    return {**kept, outputs.OUTPUT_DIR: str(outputs.output_dir())}


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])
