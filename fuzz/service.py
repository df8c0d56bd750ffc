"""The service that is fuzzed: `bullflow up` as a real process that asks for tokens, with an admin's token."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
from chaos.programs import bullflow

from bullflow import serve
from bullflow.flow.access import Scope
from bullflow.settings import Settings, load

USER = "root"
_READY = re.compile(r"is ready: (\S+)")
_COMPLAINT = re.compile(r'"level": "(error|critical)"|^Traceback')


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A running service, and where it writes its log."""

    url: str
    token: str
    log: Path

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"}

    def complaints(self) -> list[str]:
        """What it has logged as an error."""
        return [line for line in self.log.read_text(errors="replace").splitlines() if _COMPLAINT.search(line)]

    async def standing(self) -> str:
        """Empty when it works and is behind with nothing; else what is wrong."""
        async with httpx.AsyncClient(base_url=self.url) as http:
            answer = await http.get("/readyz")
        told = answer.json()
        return "" if answer.status_code == 200 and not told["dispatchBacklog"] else answer.text


@asynccontextmanager
async def up(folder: Path, **settings: str) -> AsyncIterator[Target]:
    """A service that keeps its files in this folder; it ends with the block."""
    settings = {"data_dir": str(folder / "data"), "auth": "token", "log_format": "json", **settings}
    token = await _admin(load(**settings))
    log = folder / "up.log"
    environment = {f"BULLFLOW_{name.upper()}": value for name, value in settings.items()}
    program = bullflow("up", "up", "fuzz.handlers:worker", "--port", "0", log=log, environment=environment)
    await program.start()
    try:
        await program.working()
        ready = _READY.search(log.read_text())
        assert ready is not None
        yield Target(url=ready[1], token=token, log=log)
        if program.ended_by_itself:
            raise AssertionError("; ".join(program.ended_by_itself))
    finally:
        await program.kill()


async def _admin(settings: Settings) -> str:
    async with serve.managing(settings) as accounts:
        await accounts.create_user(USER, ())
        return (await accounts.create_token(USER, frozenset(Scope), None)).text
