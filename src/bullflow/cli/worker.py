"""`bullflow worker`: run workers in processes of their own."""

from typing import Annotated

import typer

from bullflow.cli.modules import load_workers
from bullflow.cli.options import Concurrency, DataDir, LogLevel, Processes, RedisUrl
from bullflow.cli.processes import supervise, worker_command
from bullflow.cli.running import run_for_long
from bullflow.engine.address import engine_url
from bullflow.settings import load
from bullflow.telemetry import logger
from bullflow.worker import run_workers

Targets = Annotated[
    list[str],
    typer.Argument(
        metavar="MODULE:WORKER",
        help="Where the workers are, for example examples.video:worker; the working directory is searched too.",
    ),
]
Under = Annotated[int | None, typer.Option(hidden=True, help="The process that has started this one, for --processes.")]


def worker(
    targets: Targets,
    redis_url: RedisUrl = None,
    data_dir: DataDir = None,
    processes: Processes = 1,
    concurrency: Concurrency = None,
    log_level: LogLevel = None,
    under: Under = None,
) -> None:
    """Run workers until Ctrl-C or SIGTERM; running jobs may finish first.

    Example: bullflow worker examples.video:worker --redis-url redis://localhost:6379/0 --processes 4
    """
    flags = {"data_dir": data_dir, "concurrency": concurrency, "log_level": log_level}
    settings = load(redis_url=redis_url, **flags)
    workers = load_workers(targets)
    if processes == 1:
        run_for_long(settings, run_workers(workers, settings, under=under))
        return
    engine_url(settings)  # raises what otherwise each of the processes would
    command, url = worker_command(targets, flags), settings.redis_url
    run_for_long(settings, supervise(command, processes, logger("worker"), redis_url=url))
