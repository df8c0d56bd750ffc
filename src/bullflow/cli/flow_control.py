"""`bullflow flows`, the commands that decide: cancel, retry, explain, delete, and a job's log lines."""

import sys
from collections.abc import Awaitable, Callable, Iterator
from typing import Annotated, TypeVar

import typer
from pydantic import BaseModel
from rich.console import Console
from rich.text import Text

from bullflow.cli.flow_view import plain
from bullflow.cli.following import Watch, follow
from bullflow.cli.options import AsJson, FlowId, Url
from bullflow.cli.running import run
from bullflow.client import AsyncClient
from bullflow.flow.explain import amount
from bullflow.settings import load
from bullflow.wire import ExplainedJob, ExplainedReason, Explanation, Flow, Line, LinePage, PlannedJobs, RetryPlan

Answer = TypeVar("Answer")

NAMES_SHOWN = 8
_BLAME = {"running": "cyan", "waits-for-children": "bright_black", "waits-its-turn": "", "delayed": "yellow"}

DryRun = Annotated[bool, typer.Option("--dry-run", help="Only show what would run again, and what would be reused.")]
JobId = Annotated[str, typer.Argument(metavar="JOB", help="The job's id, as `flows show --ids` prints it.")]
OneJob = Annotated[
    str | None,
    typer.Option("--job", metavar="JOB", help="Only this job and those above it; `flows show --ids` prints its id."),
]


def register(app: typer.Typer) -> None:
    """Add the commands to `bullflow flows`."""
    app.command()(cancel)
    app.command()(retry)
    app.command()(explain)
    app.command()(logs)
    app.command()(delete)


def cancel(flow_id: FlowId, as_json: AsJson = False, url: Url = None) -> None:
    """Cancel a flow: nothing of it starts any more, and what runs is told to stop.

    Example: bullflow flows cancel 01981c5e-7f3a-7bb0-a4d2-4f5a6b7c8d9e
    """
    flow = run(_with(url, lambda client: client.cancel(flow_id)))
    _tell(flow, _counted(flow), as_json=as_json)
    if not flow.applied:
        print("The engine does not answer; jobs that run there are stopped as soon as it does.", file=sys.stderr)


def retry(
    flow_id: FlowId,
    job: OneJob = None,
    dry_run: DryRun = False,
    watch: Watch = False,
    as_json: AsJson = False,
    url: Url = None,
) -> None:
    """Run again what failed or was cancelled, and what depends on it; completed jobs keep their results.

    Example: bullflow flows retry 01981c5e-7f3a-7bb0-a4d2-4f5a6b7c8d9e --watch
    """
    run(_retry(flow_id, job, dry_run=dry_run, watch=watch, as_json=as_json, url=url))


def explain(flow_id: FlowId, as_json: AsJson = False, url: Url = None) -> None:
    """Say why each unfinished part of a flow is not running; what holds back the rest comes first.

    Example: bullflow flows explain 01981c5e-7f3a-7bb0-a4d2-4f5a6b7c8d9e
    """
    explanation = run(_with(url, lambda client: client.explain(flow_id)))
    if as_json:
        print(explanation.model_dump_json(by_alias=True, indent=2))
        return
    console = Console(soft_wrap=True)
    for line in _explained(explanation):
        console.print(line)


def logs(job_id: JobId, as_json: AsJson = False, url: Url = None) -> None:
    """Print the lines that a job's handler has logged.

    Example: bullflow flows logs 01981c5e-7f3a-7bb0-a4d2-4f5a6b7c8d9e
    """
    lines = run(_with(url, lambda client: _all_lines(client, job_id)))
    if as_json:
        print(LinePage(items=lines, next=None).model_dump_json(by_alias=True, indent=2))
        return
    for line in lines:
        print(f"{line.at}  {plain(line.line)}")


def delete(flow_id: FlowId, url: Url = None) -> None:
    """Forget a flow that has ended: its jobs, its results, its log.

    Example: bullflow flows delete 01981c5e-7f3a-7bb0-a4d2-4f5a6b7c8d9e
    """
    run(_with(url, lambda client: client.delete(flow_id)))
    print(f"The flow {flow_id} is gone.")


async def _retry(flow_id: str, job: str | None, *, dry_run: bool, watch: bool, as_json: bool, url: str | None) -> None:
    async with AsyncClient(load(url=url).url) as client:
        plan = await (client.retry_plan(flow_id) if job is None else client.retry_job_plan(job))
        if dry_run:
            _tell(plan, "\n".join(_planned(plan)), as_json=as_json)
            return
        known = (await client.get(plan.flow_id)).last_seq
        flow = await (client.retry(flow_id) if job is None else client.retry_job(job))
        results = f"{amount(plan.reused.count, 'result')} {'is' if plan.reused.count == 1 else 'are'} reused"
        again = f"runs again: {amount(plan.again.count, 'job')}; {results}"
        _tell(flow, f"{plain(flow.name)} {again}", as_json=as_json)
        if watch:
            await follow(client, flow.id, after=known)


async def _all_lines(client: AsyncClient, job_id: str) -> list[Line]:
    page = await client.job_logs(job_id, limit=500)
    lines = page.items
    while page.next is not None:
        page = await client.job_logs(job_id, limit=500, cursor=page.next)
        lines += page.items
    return lines


async def _with(url: str | None, ask: Callable[[AsyncClient], Awaitable[Answer]]) -> Answer:
    async with AsyncClient(load(url=url).url) as client:
        return await ask(client)


def _tell(answer: BaseModel, words: str, *, as_json: bool) -> None:
    print(answer.model_dump_json(by_alias=True, indent=2) if as_json else words, flush=True)


def _counted(flow: Flow) -> str:
    counts = ", ".join(f"{number:,} {status}" for status, number in flow.counts.items() if number)
    return f"{plain(flow.name)} is {flow.status}: {counts}"


def _planned(plan: RetryPlan) -> Iterator[str]:
    yield f"would run again: {_jobs(plan.again)}"
    yield f"would be reused: {_jobs(plan.reused)}"


def _jobs(planned: PlannedJobs) -> str:
    names = [f"{plain(job.name)} ({job.status})" for job in planned.jobs[:NAMES_SHOWN]]
    return f"{planned.count:,}  " + _listed(names, planned.count)


def _explained(explanation: Explanation) -> Iterator[Text]:
    if not explanation.reasons:
        yield Text(f"Nothing is left to run: the flow has ended ({explanation.status}).")
    for told in explanation.reasons:
        style = _BLAME.get(told.reason, "bold red")
        yield Text.assemble((told.reason, style), f"  {plain(told.detail)}", _when(told))
        yield Text(f"  {told.count:,} in {plain(told.queue_name)}: {_examples(told)}", "bright_black")


def _when(told: ExplainedReason) -> str:
    return "" if told.until is None else f", until {told.until}"


def _examples(told: ExplainedReason) -> str:
    return _listed([_example(job) for job in told.jobs[:NAMES_SHOWN]], told.count)


def _example(job: ExplainedJob) -> str:
    if job.waits_for is None:
        return plain(job.name)
    waited = [f"{plain(child.name)} ({child.status})" for child in job.waits_for.jobs[:3]]
    return f"{plain(job.name)} ← {_listed(waited, job.waits_for.count)}"


def _listed(names: list[str], count: int) -> str:
    more = count - len(names)
    return ", ".join(names) + (f" and {more:,} more" if more > 0 else "")
