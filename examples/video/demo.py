"""The whole of it in one command: `python -m examples.video.demo` (or `make demo`).

Starts bullflow on its embedded database and engine, runs the video flow, shows it live, prints what was made, and
stops everything again. Exit codes: 0, 1 for any failure, 130 after Ctrl-C, 143 after SIGTERM.
"""

import argparse
import asyncio
import os
import shutil
import signal
import sys
import tempfile
from pathlib import Path
from typing import Any

from rich.console import Console

from bullflow import AsyncClient, BullflowError, ServiceAway
from bullflow.cli.flow_view import read_view
from bullflow.cli.live_tree import watch_lines, watch_live
from bullflow.flow.states import FlowStatus, JobStatus
from bullflow.wire import Flow, Job
from examples.video.aborting import Aborted, unless_aborted
from examples.video.flow import video_flow
from examples.video.service import LOG_NAME, ServiceFailed, running_service

FLOW_LIMIT = 600.0
FAILED, INTERRUPTED, TERMINATED = 1, 130, 143


class FlowFailed(Exception):
    """The demo's flow did not complete."""


def main() -> int:
    """Run the demo and return its exit code."""
    flags = _flags()
    # A proxy of the environment must not stand between us and our own machine.
    os.environ["NO_PROXY"] = ",".join(filter(None, (os.environ.get("NO_PROXY"), "127.0.0.1")))
    if flags.data_dir is not None:
        return _run(flags.data_dir.absolute())
    data_dir = Path(tempfile.mkdtemp(prefix="bullflow-demo-"))
    code = _run(data_dir)
    if code != FAILED:  # else somebody will want to read the log
        shutil.rmtree(data_dir, ignore_errors=True)
    return code


def _flags() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m examples.video.demo", description="Run the video flow and watch.")
    parser.add_argument("--data-dir", type=Path, help="keep the files of the database and the engine here")
    return parser.parse_args()


def _run(data_dir: Path) -> int:
    try:
        asyncio.run(_demo(data_dir))
    except KeyboardInterrupt:
        return _complain("Stopped.", INTERRUPTED)
    except asyncio.CancelledError:
        return _complain("Stopped.", TERMINATED)
    except (ServiceFailed, FlowFailed, BullflowError, OSError) as error:
        return _complain(f"The demo has failed: {error}\nThe log of the service: {data_dir / LOG_NAME}", FAILED)
    return 0


async def _demo(data_dir: Path) -> None:
    _stop_on(signal.SIGTERM, signal.SIGHUP)
    _say("Starting bullflow with its embedded database and engine …")
    async with running_service(data_dir) as service:
        _say(f"Ready at {service.url}\n")
        try:
            await unless_aborted(_run_flow(service.url), service)
        except (Aborted, ServiceAway) as error:
            # A lost connection is often the first news of a service that has died.
            raise await service.failure(error) from error


async def _run_flow(url: str) -> None:
    try:
        async with asyncio.timeout(FLOW_LIMIT), AsyncClient(url) as client:
            flow = await client.create(video_flow())
            _say(f"Flow {flow.id}")
            _say(f"  as JSON           {url}/flows/{flow.id}/tree")
            _say(f"  in your terminal  bullflow flows watch {flow.id} --url {url}\n")
            await _show(client, flow.id)
            await _tell_end(client, await client.wait(flow.id))
    except TimeoutError:
        raise FlowFailed(f"the flow has not ended after {FLOW_LIMIT:g} s") from None


async def _show(client: AsyncClient, flow_id: str) -> None:
    view = await read_view(client, flow_id)
    if sys.stdout.isatty():
        await watch_live(client, view, Console())
    else:
        await watch_lines(client, view, sys.stdout)


async def _tell_end(client: AsyncClient, flow: Flow) -> None:
    if flow.status is not FlowStatus.COMPLETED:
        failed = await client.jobs(flow.id, status=JobStatus.FAILED, limit=500)
        raise FlowFailed(f"the flow has {flow.status}. {_causes(failed.items)}")
    made: dict[str, Any] = flow.result
    _say(f"\nMade with the watermark {made['watermarkText']!r}:")
    _say(f"  video      {made['outputPath']}  ({made['durationSeconds']:.1f} s, {_size(made['outputPath'])})")
    _say(f"  thumbnail  {made['thumbnailPath']}  ({_size(made['thumbnailPath'])})")


def _causes(failed: list[Job]) -> str:
    """The messages of the jobs that failed by themselves, and not because of a child."""
    ids = {job.id for job in failed}
    causes = [job for job in failed if not ids.intersection(job.children)]
    return "; ".join(f"{job.name}: {job.error.message if job.error else 'no message'}" for job in causes)


def _size(path: str) -> str:
    return f"{Path(path).stat().st_size / 1000:,.0f} kB"


def _stop_on(*signals: signal.Signals) -> None:
    task = asyncio.current_task()
    assert task is not None  # noqa: S101 -- we are inside one
    for each in signals:
        asyncio.get_running_loop().add_signal_handler(each, task.cancel)


def _say(text: str) -> None:
    print(text, flush=True)


def _complain(text: str, code: int) -> int:
    print(f"\n{text}", file=sys.stderr, flush=True)
    return code


if __name__ == "__main__":
    sys.exit(main())
