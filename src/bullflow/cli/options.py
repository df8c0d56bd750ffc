"""The flags that several commands share. Each lies over the variable that its help names."""

from pathlib import Path
from typing import Annotated

import typer

Url = Annotated[
    str | None,
    typer.Option(
        metavar="URL",
        help="Where the service is (BULLFLOW_URL), for example http://127.0.0.1:8420; BULLFLOW_TOKEN is shown to it.",
    ),
]
Host = Annotated[
    str | None,
    typer.Option(metavar="HOST", help="Listen on this address (BULLFLOW_HOST), for example 0.0.0.0 for all."),
]
Port = Annotated[
    int | None,
    typer.Option(metavar="PORT", help="Listen on this port (BULLFLOW_PORT), for example 8420; 0 takes a free one."),
]
Auth = Annotated[
    str | None,
    typer.Option(
        metavar="MODE",
        help="Who may come in (BULLFLOW_AUTH): local (this machine), token (who shows one), or none (everybody).",
    ),
]
ForwardedAllowIps = Annotated[
    str | None,
    typer.Option(
        metavar="IPS",
        help="Proxies whose X-Forwarded headers are believed (BULLFLOW_FORWARDED_ALLOW_IPS), for example 10.0.0.7.",
    ),
]
DataDir = Annotated[
    Path | None,
    typer.Option(
        metavar="DIR",
        help="Where the embedded database and engine keep their files (BULLFLOW_DATA_DIR), for example .bullflow.",
    ),
]
DatabaseUrl = Annotated[
    str | None,
    typer.Option(
        metavar="URL",
        help="The database (BULLFLOW_DATABASE_URL), for example postgresql://me@localhost/flows or sqlite:///flows.db.",
    ),
]
RedisUrl = Annotated[
    str | None,
    typer.Option(
        metavar="URL",
        help="Redis or Valkey (BULLFLOW_REDIS_URL), for example redis://localhost:6379/0 or unix:///run/valkey.sock.",
    ),
]
Concurrency = Annotated[
    int | None,
    typer.Option(
        metavar="N", help="Jobs at once in each worker (BULLFLOW_CONCURRENCY), for example 20; overrides its own."
    ),
]
Processes = Annotated[
    int,
    typer.Option(
        metavar="N", min=1, help="Run in so many processes, for example one a core; --concurrency is each one's."
    ),
]
ProcessesBeside = Annotated[
    int, typer.Option(metavar="N", min=0, help="Run the workers in so many processes of their own; 0: in this one.")
]
LogLevel = Annotated[
    str | None,
    typer.Option(metavar="LEVEL", help="debug, info, warning or error (BULLFLOW_LOG_LEVEL); debug shows traces."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print the service's answer as JSON, for example for jq.")]
FlowId = Annotated[
    str, typer.Argument(metavar="ID", help="The flow's id, as `flows create` and `flows list` print it.")
]
