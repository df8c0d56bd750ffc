"""`bullflow flows`: create flows, list them, look at one, watch one; `flow_control` has the rest."""

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from bullflow.cli import flow_control
from bullflow.cli.flow_view import plain, read_view
from bullflow.cli.following import Watch, console_for_stdout, follow
from bullflow.cli.live_tree import render
from bullflow.cli.options import AsJson, FlowId, Url
from bullflow.cli.running import run
from bullflow.client import AsyncClient
from bullflow.clock import now_ms
from bullflow.errors import Misconfigured
from bullflow.flow.states import ENDED, FlowStatus
from bullflow.settings import load
from bullflow.wire import Flow, FlowPage

app = typer.Typer(no_args_is_help=True, help="Create flows, look at them, watch, cancel, retry and explain them.")

File = Annotated[str, typer.Argument(metavar="FILE", help="A flow as JSON, for example flow.json, or - for stdin.")]
Status = Annotated[FlowStatus | None, typer.Option(help="Only flows in this state, for example failed.")]
Name = Annotated[str | None, typer.Option(metavar="NAME", help="Only flows of this name, for example watermark-video.")]
Queue = Annotated[
    str | None, typer.Option(metavar="QUEUE", help="Only flows whose root is on this queue, for example flowQueue.")
]
Tag = Annotated[str | None, typer.Option(metavar="TAG", help="Only flows with this tag, for example nightly.")]
Limit = Annotated[int, typer.Option(metavar="N", min=1, max=500, help="How many, for example 100.")]
Ids = Annotated[bool, typer.Option("--ids", help="Show the jobs' ids too, for `retry --job` and `logs`.")]
Cursor = Annotated[str | None, typer.Option(metavar="CURSOR", help="Where the list before this one ended.")]


@app.command()
def create(file: File, watch: Watch = False, as_json: AsJson = False, url: Url = None) -> None:
    """Create a flow from a file and print its id.

    Example: bullflow flows create flow.json --watch
    """
    run(_create(_read(file), watch=watch, as_json=as_json, url=url))


@app.command("list")
def list_flows(
    status: Status = None,
    name: Name = None,
    queue: Queue = None,
    tag: Tag = None,
    limit: Limit = 50,
    cursor: Cursor = None,
    as_json: AsJson = False,
    url: Url = None,
) -> None:
    """List flows, newest first; into a pipe as columns parted by tabs.

    Example: bullflow flows list --status failed --limit 20
    """
    query = {"status": status, "name": name, "queue_name": queue, "tag": tag, "limit": limit, "cursor": cursor}
    page = run(_list(query, url))
    if as_json:
        print(page.model_dump_json(by_alias=True, indent=2))
    elif sys.stdout.isatty():
        Console().print(_table(page))
    else:
        for flow in page.items:
            print("\t".join(_columns(flow)))
    if page.next is not None and not as_json:
        print(f"There are more: --cursor {page.next}", file=sys.stderr)


@app.command()
def show(flow_id: FlowId, ids: Ids = False, as_json: AsJson = False, url: Url = None) -> None:
    """Show a flow and its jobs as a tree, once.

    Example: bullflow flows show 01981c5e-7f3a-7bb0-a4d2-4f5a6b7c8d9e
    """
    run(_show(flow_id, ids=ids, as_json=as_json, url=url))


@app.command()
def watch(flow_id: FlowId, url: Url = None) -> None:
    """Follow a flow live until it ends: exit code 0 if it completed, 1 if it failed or was cancelled.

    Into a pipe it writes one line for each entry of the flow's log, from the first on.

    Example: bullflow flows watch 01981c5e-7f3a-7bb0-a4d2-4f5a6b7c8d9e
    """
    run(_watch(flow_id, url))


def _read(file: str) -> dict[str, Any]:
    try:
        text = sys.stdin.read() if file == "-" else Path(file).read_text("utf-8")
        flow = json.loads(text)
    except OSError as error:
        raise Misconfigured(f"{file} cannot be read: {error.strerror or error}") from error
    except (ValueError, RecursionError) as error:
        raise Misconfigured(f"{'stdin' if file == '-' else file} is not JSON: {error}") from error
    if not isinstance(flow, dict):
        raise Misconfigured(f"{file} holds no flow: a flow is a JSON object with name and queueName")
    return flow


async def _create(flow: dict[str, Any], *, watch: bool, as_json: bool, url: str | None) -> None:
    async with _client(url) as client:
        created = await client.create(flow)
        print(created.model_dump_json(by_alias=True, indent=2) if as_json else created.id, flush=True)
        if watch:
            await follow(client, created.id)


async def _list(query: dict[str, Any], url: str | None) -> FlowPage:
    async with _client(url) as client:
        return await client.flows(**query)


async def _show(flow_id: str, *, ids: bool, as_json: bool, url: str | None) -> None:
    async with _client(url) as client:
        if as_json:
            print((await client.tree(flow_id)).model_dump_json(by_alias=True, indent=2))
        else:
            console_for_stdout().print(render(await read_view(client, flow_id), now_ms(), ids=ids))


async def _watch(flow_id: str, url: str | None) -> None:
    async with _client(url) as client:
        await follow(client, flow_id)


def _client(url: str | None) -> AsyncClient:
    return AsyncClient(load(url=url).url)


def _table(page: FlowPage) -> Table:
    table = Table(box=None, header_style="bold", pad_edge=False)
    for title in ("ID", "NAME", "STATUS", "QUEUE", "CREATED", "JOBS", "TAGS"):
        table.add_column(title, no_wrap=title in ("ID", "STATUS", "JOBS"))
    for flow in page.items:
        table.add_row(*map(Text, _columns(flow)))
    return table


def _columns(flow: Flow) -> list[str]:
    ended = sum(flow.counts.get(status, 0) for status in ENDED)
    jobs = f"{ended}/{sum(flow.counts.values())}"
    tags = ",".join(map(plain, flow.tags))
    return [flow.id, plain(flow.name), flow.status, plain(flow.queue_name), flow.created_at, jobs, tags]


flow_control.register(app)
