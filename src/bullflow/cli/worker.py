"""`bullflow worker`: run workers in a process of their own."""

from typing import Annotated

import typer

from bullflow.cli.modules import load_workers
from bullflow.cli.options import Concurrency, DataDir, LogLevel, RedisUrl
from bullflow.cli.running import run_for_long
from bullflow.settings import load
from bullflow.worker import run_workers

Targets = Annotated[
    list[str],
    typer.Argument(
        metavar="MODULE:WORKER",
        help="Where the workers are, for example examples.video:worker; the working directory is searched too.",
    ),
]


def worker(
    targets: Targets,
    redis_url: RedisUrl = None,
    data_dir: DataDir = None,
    concurrency: Concurrency = None,
    log_level: LogLevel = None,
) -> None:
    """Run workers until Ctrl-C or SIGTERM; running jobs may finish first.

    Example: bullflow worker examples.video:worker --redis-url redis://localhost:6379/0
    """
    settings = load(redis_url=redis_url, data_dir=data_dir, concurrency=concurrency, log_level=log_level)
    run_for_long(settings, run_workers(load_workers(targets), settings))
