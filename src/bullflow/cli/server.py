"""The commands that need the `server` extra: everything in one, each part alone, the database, the doctor."""

import asyncio
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from bullflow import serve
from bullflow.cli import accounts
from bullflow.cli.drifts import compare_engine
from bullflow.cli.modules import load_workers
from bullflow.cli.options import (
    Auth,
    Concurrency,
    DatabaseUrl,
    DataDir,
    ForwardedAllowIps,
    Host,
    LogLevel,
    Port,
    ProcessesBeside,
    RedisUrl,
)
from bullflow.cli.processes import supervise, worker_command
from bullflow.cli.running import run, run_for_long
from bullflow.doctor import doctor as examine
from bullflow.errors import Misconfigured
from bullflow.settings import Settings, load
from bullflow.telemetry import configure, logger

OptionalTargets = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="MODULE:WORKER",
        help="Workers to run along, for example examples.video:worker; the working directory is searched too.",
    ),
]


def register(app: typer.Typer) -> None:
    """Add the server's commands to the application."""
    app.command()(up)
    app.command()(api)
    app.command()(recorder)
    database = typer.Typer(no_args_is_help=True, help="Look after the database.")
    database.command()(upgrade)
    app.add_typer(database, name="db")
    app.command()(doctor)
    app.add_typer(accounts.users, name="users")
    app.add_typer(accounts.tokens, name="tokens")


def up(
    targets: OptionalTargets = None,
    host: Host = None,
    port: Port = None,
    auth: Auth = None,
    forwarded_allow_ips: ForwardedAllowIps = None,
    data_dir: DataDir = None,
    database_url: DatabaseUrl = None,
    redis_url: RedisUrl = None,
    concurrency: Concurrency = None,
    processes: ProcessesBeside = 0,
    log_level: LogLevel = None,
) -> None:
    """Run everything until Ctrl-C, in one process: service, recorder and the workers you name.

    The dashboard is at the address that it prints. With --processes the workers get processes of their own, and with
    them other cores. Without --database-url and --redis-url it brings its own: SQLite and Valkey in the data directory.

    Example: bullflow up examples.video:worker --port 8420
    """
    settings = load(
        host=host,
        port=port,
        auth=auth,
        forwarded_allow_ips=forwarded_allow_ips,
        data_dir=data_dir,
        database_url=database_url,
        redis_url=redis_url,
        concurrency=concurrency,
        log_level=log_level,
    )
    workers = load_workers(targets or ())

    async def beside(running: Settings, stop: asyncio.Event) -> None:
        flags = {"data_dir": data_dir, "concurrency": concurrency, "log_level": log_level}
        command, url = worker_command(targets or (), flags), running.redis_url
        await supervise(command, processes, logger("worker"), redis_url=url, stop=stop)

    apart = bool(workers and processes)
    run_for_long(settings, serve.up(settings, () if apart else workers, _say_ready, beside=beside if apart else None))


def api(
    host: Host = None,
    port: Port = None,
    auth: Auth = None,
    forwarded_allow_ips: ForwardedAllowIps = None,
    data_dir: DataDir = None,
    database_url: DatabaseUrl = None,
    redis_url: RedisUrl = None,
    log_level: LogLevel = None,
) -> None:
    """Run the HTTP service alone until Ctrl-C; start as many as you like behind a balancer.

    Example: bullflow api --host 0.0.0.0 --auth token --database-url postgresql://me@db/flows --redis-url redis://queue:6379/0
    """
    settings = load(
        host=host,
        port=port,
        auth=auth,
        forwarded_allow_ips=forwarded_allow_ips,
        data_dir=data_dir,
        database_url=database_url,
        redis_url=redis_url,
        log_level=log_level,
    )
    run_for_long(settings, serve.api(settings, lambda url: _say(f"The service is ready: {url}")))


def recorder(
    data_dir: DataDir = None,
    database_url: DatabaseUrl = None,
    redis_url: RedisUrl = None,
    log_level: LogLevel = None,
) -> None:
    """Run the recorder and dispatcher alone until Ctrl-C; a second one stands by and takes over.

    Example: bullflow recorder --database-url postgresql://me@db/flows --redis-url redis://queue:6379/0
    """
    settings = load(data_dir=data_dir, database_url=database_url, redis_url=redis_url, log_level=log_level)
    run_for_long(settings, serve.recorder(settings, lambda _: _say("The recorder is ready.")))


def upgrade(data_dir: DataDir = None, database_url: DatabaseUrl = None, log_level: LogLevel = None) -> None:
    """Bring the database to this version's tables; what is up to date stays as it is.

    Example: bullflow db upgrade --database-url postgresql://me@localhost/flows
    """
    settings = load(data_dir=data_dir, database_url=database_url, log_level=log_level)
    _say(run_for_long(settings, serve.upgrade(settings)))


def doctor(
    data_dir: DataDir = None,
    database_url: DatabaseUrl = None,
    redis_url: RedisUrl = None,
    engine: Annotated[bool, typer.Option("--engine", help="Compare flows with what the engine has of them.")] = False,
    repair: Annotated[bool, typer.Option("--repair", help="With --engine: have what differs mended.")] = False,
) -> None:
    """Check that everything bullflow stands on is there, and say what to do about what is not.

    Example: bullflow doctor --engine --redis-url redis://localhost:6379/0
    """
    settings = load(data_dir=data_dir, database_url=database_url, redis_url=redis_url)
    configure("warning", settings.log_format)
    if repair and not engine:
        raise Misconfigured("--repair goes with --engine")
    checks = run(examine(settings))
    console = Console(soft_wrap=True)
    for check in checks:
        mark = Text("✓ ", "green") if check.ok else Text("✗ ", "bold red")
        console.print(mark + Text(check.name, "bold") + Text(f": {check.detail}"))
    if not all(check.ok for check in checks if not (engine and check.name == "recorder")):
        raise typer.Exit(1)
    if engine and not compare_engine(settings, console, repair=repair):
        raise typer.Exit(1)


def _say_ready(url: str) -> None:
    _say(f"bullflow is ready: {url}")


def _say(sentence: str) -> None:
    # Whoever started this through a pipe waits for the sentence, so it must not stay in a buffer.
    print(sentence, flush=True)
