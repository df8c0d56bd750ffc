"""`bullflow queues`: list queues, look at one, pause, resume and limit one."""

import sys
from collections.abc import Awaitable, Callable
from typing import Annotated, TypeVar

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from bullflow.cli.flow_view import plain
from bullflow.cli.options import AsJson, Url
from bullflow.cli.running import run
from bullflow.client import AsyncClient
from bullflow.flow.states import JobStatus
from bullflow.settings import load
from bullflow.wire import Queue, QueueDetail, QueuePage, QueueSettings, RateLimit

Answer = TypeVar("Answer")

app = typer.Typer(no_args_is_help=True, help="List queues, look at one, pause, resume and limit one.")

_TITLES = ("NAME", "STATE", "WORKERS", "WAITING", "DELAYED", "ACTIVE", "FAILED", "AT ONCE", "RATE")
_NARROWEST_NAME = 10


def _rate(text: str) -> RateLimit:
    """The rate limit that a text like `100/60` stands for."""
    most, _, seconds = text.partition("/")
    try:
        rate = RateLimit(max=int(most), duration=round(float(seconds) * 1000))
    except (ValueError, OverflowError):
        raise typer.BadParameter(f"{text!r} is not MAX/SECONDS, for example 100/60") from None
    if rate.max < 1 or rate.duration < 1:
        raise typer.BadParameter(f"{text!r} lets nothing through; to stop a queue, pause it")
    return rate


Name = Annotated[str, typer.Argument(metavar="NAME", help="The queue's name, for example flowQueue.")]
Limit = Annotated[int, typer.Option(metavar="N", min=1, max=500, help="How many, for example 100.")]
Cursor = Annotated[str | None, typer.Option(metavar="CURSOR", help="Where the list before this one ended.")]
Concurrency = Annotated[
    int | None, typer.Option(metavar="N", min=1, help="Jobs that may run at once, over all workers, for example 4.")
]
Rate = Annotated[
    RateLimit | None,
    typer.Option(
        metavar="MAX/SECONDS", parser=_rate, help="Jobs that may begin in so many seconds, for example 100/60."
    ),
]


@app.command("list")
def list_queues(limit: Limit = 50, cursor: Cursor = None, as_json: AsJson = False, url: Url = None) -> None:
    """List the queues that flows have used, as they stand just now; into a pipe as columns parted by tabs.

    Example: bullflow queues list
    """
    page = run(_with(url, lambda client: client.queues(limit, cursor)))
    if as_json:
        print(page.model_dump_json(by_alias=True, indent=2))
    elif sys.stdout.isatty():
        Console().print(_table(page))
    else:
        for queue in page.items:
            print("\t".join(_columns(queue)))
    if page.next is not None and not as_json:
        print(f"There are more: --cursor {page.next}", file=sys.stderr)


@app.command()
def show(name: Name, as_json: AsJson = False, url: Url = None) -> None:
    """Show a queue and its live workers.

    Example: bullflow queues show flowQueue
    """
    queue = run(_with(url, lambda client: client.queue(name)))
    print(queue.model_dump_json(by_alias=True, indent=2) if as_json else "\n".join(_lines(queue)))


@app.command()
def pause(name: Name, as_json: AsJson = False, url: Url = None) -> None:
    """Let no further job of a queue begin; what runs may end.

    Example: bullflow queues pause flowQueue
    """
    _tell(run(_with(url, lambda client: client.pause_queue(name))), as_json=as_json)


@app.command()
def resume(name: Name, as_json: AsJson = False, url: Url = None) -> None:
    """Let the jobs of a queue begin again.

    Example: bullflow queues resume flowQueue
    """
    _tell(run(_with(url, lambda client: client.resume_queue(name))), as_json=as_json)


@app.command()
def limit(
    name: Name, concurrency: Concurrency = None, rate: Rate = None, as_json: AsJson = False, url: Url = None
) -> None:
    """Limit what all workers of a queue do together; a limit that is not given is lifted.

    Example: bullflow queues limit flowQueue --concurrency 4 --rate 100/60
    """
    rate_limit = None if rate is None else rate.model_dump()
    settings = run(_with(url, lambda client: client.limit_queue(name, concurrency=concurrency, rate_limit=rate_limit)))
    _tell(settings, as_json=as_json)


async def _with(url: str | None, ask: Callable[[AsyncClient], Awaitable[Answer]]) -> Answer:
    async with AsyncClient(load(url=url).url) as client:
        return await ask(client)


def _tell(settings: QueueSettings, *, as_json: bool) -> None:
    if as_json:
        print(settings.model_dump_json(by_alias=True, indent=2))
        return
    state = "paused" if settings.paused else "running"
    concurrency = "any number" if settings.concurrency is None else f"at most {settings.concurrency}"
    print(f"{plain(settings.name)}: {state}, {concurrency} at once, {_rate_in_words(settings.rate_limit)}")
    if not settings.applied:
        print("The engine has not got this yet; it will as soon as it answers.", file=sys.stderr)


def _table(page: QueuePage) -> Table:
    table = Table(box=None, header_style="bold", pad_edge=False)
    name, state, *numbers = _TITLES
    table.add_column(name, overflow="fold", min_width=_NARROWEST_NAME)
    table.add_column(state, no_wrap=True)
    for title in numbers:
        table.add_column(title, no_wrap=True, justify="right")
    for queue in page.items:
        table.add_row(*map(Text, _columns(queue)))
    return table


def _columns(queue: Queue) -> list[str]:
    counts, rate = queue.counts, queue.rate_limit
    return [
        plain(queue.name),
        _state(queue),
        str(queue.workers),
        str(counts[JobStatus.WAITING] + counts[JobStatus.PRIORITIZED]),
        str(counts[JobStatus.DELAYED]),
        str(counts[JobStatus.ACTIVE]),
        str(counts[JobStatus.FAILED]),
        "-" if queue.concurrency is None else str(queue.concurrency),
        "-" if rate is None else f"{rate.max}/{rate.duration / 1000:g}",
    ]


def _state(queue: Queue) -> str:
    return "paused" if queue.paused else "running" if queue.limited_for is None else "limited"


def _lines(queue: QueueDetail) -> list[str]:
    held = "" if queue.limited_for is None else f", and the next one in {queue.limited_for / 1000:g} s"
    pairs = [
        ("name", plain(queue.name)),
        ("state", _state(queue)),
        *queue.counts.items(),
        ("concurrency", "any number at once" if queue.concurrency is None else f"at most {queue.concurrency} at once"),
        ("rate", _rate_in_words(queue.rate_limit) + held),
        ("workers", str(queue.workers)),
    ]
    workers = (
        f"  {plain(worker.name or '(no name)')}  {plain(worker.address)}  up {worker.age} s, idle {worker.idle} s"
        for worker in queue.worker_list
    )
    return [*(f"{title:<16}  {value}" for title, value in pairs), *workers]


def _rate_in_words(rate: RateLimit | None) -> str:
    return "at any rate" if rate is None else f"at most {rate.max} in {rate.duration / 1000:g} s"
