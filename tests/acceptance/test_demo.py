"""The demo as a newcomer starts it, in a process of its own with everything real."""

import asyncio
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import pytest
from PIL import Image

from examples.video import ffmpeg, outputs

COMMAND = (sys.executable, "-m", "examples.video.demo")
LIMIT = 100


@pytest.fixture
def output_dir(tmp_path: Path) -> Path:
    """Its path also marks every process of the demo, because they inherit the environment."""
    return tmp_path / "video-out"


def test_the_demo_makes_a_watermarked_video_and_a_thumbnail_and_leaves_no_process(output_dir: Path) -> None:
    demo = subprocess.run(COMMAND, env=environment(output_dir), capture_output=True, text=True, timeout=LIMIT)

    assert demo.returncode == 0, demo.stdout + demo.stderr
    video, thumbnail = printed_path(demo.stdout, "video"), printed_path(demo.stdout, "thumbnail")
    assert video.parent == thumbnail.parent == output_dir / printed_flow(demo.stdout)
    assert plays(video)
    assert seconds_of(video) == pytest.approx(ffmpeg.CLIP_DURATION.total_seconds(), abs=0.1)
    assert picture_format(thumbnail) == "JPEG"
    assert left_over(output_dir) == []


def test_the_demo_tells_how_to_watch_the_flow_meanwhile(output_dir: Path) -> None:
    with running_demo(output_dir) as demo:
        flow, url = None, None
        for line in demo.stdout or ():
            flow = flow or re.search(r"http://[\d.:]+/flows/([0-9a-f-]{36})/tree", line)
            url = url or re.search(r"bullflow flows watch ([0-9a-f-]{36}) --url http://[\d.:]+", line)

        assert flow is not None
        assert url is not None
        assert flow[1] == url[1]
        assert demo.wait(LIMIT) == 0


@pytest.fixture
def ctrl_c() -> Iterator[None]:
    """Children inherit an ignored SIGINT, which is what background jobs of a shell run with."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("ctrl_c")
@pytest.mark.parametrize(("sent", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_demo_that_is_stopped_stops_everything(sent: signal.Signals, code: int, output_dir: Path) -> None:
    with running_demo(output_dir) as demo:
        assert any("/tree" in line for line in demo.stdout or ())  # reads up to the line, so the flow runs now

        demo.send_signal(sent)

        assert demo.wait(LIMIT) == code
        assert left_over(output_dir) == []


def test_a_demo_whose_service_is_killed_says_so_and_where_the_log_is(output_dir: Path, tmp_path: Path) -> None:
    data_dir = tmp_path / "data"
    with running_demo(output_dir, "--data-dir", str(data_dir)) as demo:
        assert any("/tree" in line for line in demo.stdout or ())
        service = next(child for child in psutil.Process(demo.pid).children() if "up" in child.cmdline())

        service.kill()

        _, errors = demo.communicate(timeout=LIMIT)
        assert demo.returncode == 1
        assert "The demo has failed: the service has ended with exit code" in errors
        assert f"The log of the service: {data_dir / 'service.log'}" in errors
        # What the service can no longer stop gets a SIGKILL, which nobody waits for.
        assert psutil.wait_procs(processes_of(output_dir), timeout=10)[1] == []


def test_a_demo_that_cannot_start_its_service_shows_the_end_of_the_log(output_dir: Path, tmp_path: Path) -> None:
    data_dir = tmp_path / "data"
    data_dir.mkdir()
    (data_dir / "bullflow.db").mkdir()  # a folder cannot be opened as a database

    demo = subprocess.run(
        [*COMMAND, "--data-dir", data_dir], env=environment(output_dir), capture_output=True, text=True, timeout=LIMIT
    )

    assert demo.returncode == 1
    assert "the service" in demo.stderr
    assert "The end of its log:" in demo.stderr
    assert left_over(output_dir) == []


# --- helpers ---------------------------------------------------------------------------------------


def environment(output_dir: Path) -> dict[str, str]:
    return {**os.environ, outputs.OUTPUT_DIR: str(output_dir)}


@contextmanager
def running_demo(output_dir: Path, *flags: str) -> Iterator["subprocess.Popen[str]"]:
    pipe = subprocess.PIPE
    with subprocess.Popen([*COMMAND, *flags], env=environment(output_dir), stdout=pipe, stderr=pipe, text=True) as demo:
        try:
            yield demo
        finally:
            demo.kill()
            for process in processes_of(output_dir):
                with suppress(psutil.NoSuchProcess):
                    process.kill()


def printed_path(text: str, what: str) -> Path:
    found = re.search(rf"^  {what} +(/\S+)", text, re.MULTILINE)
    assert found is not None, text
    return Path(found[1])


def printed_flow(text: str) -> str:
    found = re.search(r"/flows/([0-9a-f-]{36})/tree", text)
    assert found is not None, text
    return found[1]


def plays(video: Path) -> bool:
    command = (ffmpeg.executable(), "-v", "error", "-xerror", "-i", str(video), "-f", "null", "-")
    decoded = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT)
    return (decoded.returncode, decoded.stderr) == (0, "")


def seconds_of(video: Path) -> float:
    return asyncio.run(ffmpeg.probe(video)).duration.total_seconds()


def picture_format(path: Path) -> str | None:
    with Image.open(path) as picture:
        picture.load()
        return picture.format


def left_over(output_dir: Path) -> list[str]:
    return [" ".join(process.cmdline()) for process in processes_of(output_dir)]


def processes_of(output_dir: Path) -> list[psutil.Process]:
    """The processes that were started with this output folder in their environment."""
    return [process for process in psutil.process_iter() if _output_dir(process) == str(output_dir)]


def _output_dir(process: psutil.Process) -> str | None:
    with suppress(psutil.Error):
        return str(process.environ().get(outputs.OUTPUT_DIR))
    return None
