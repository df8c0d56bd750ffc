"""Everything that is asked of ffmpeg, which comes in a wheel (imageio-ffmpeg), without ffprobe.

Each call is one process, which lives no longer than the call: whoever cancels the call kills the process.
"""

import asyncio
import re
import tempfile
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import IO

import imageio_ffmpeg

from bullflow import JobFailure, UnrecoverableError

OnProgress = Callable[[int], Awaitable[None]]

CLIP_SIZE = (1280, 720)
CLIP_DURATION = timedelta(seconds=6)
THUMBNAIL_WIDTH = 480
LOG_BYTES = 64 * 1024

# A "video" may be a playlist that makes ffmpeg open other files or addresses. Real containers cannot.
_INPUT = ("-protocol_whitelist", "file", "-format_whitelist", "mov,matroska,webm,avi,mpegts,mpeg,flv,ogg")
# Reads the head of the first video stream and writes nothing.
_NOTHING = ("-map", "0:v:0", "-t", "0", "-c", "copy", "-f", "null", "-")
_QUIET = ("-hide_banner", "-nostdin", "-loglevel", "error")
_PROGRESS = ("-progress", "pipe:1", "-stats_period", "0.2")
_H264 = ("-c:v", "libx264", "-preset", "veryfast", "-pix_fmt", "yuv420p", "-c:a", "aac", "-movflags", "+faststart")


class FfmpegFailed(JobFailure):
    """ffmpeg ended with an error."""

    def __init__(self, code: int, log: str) -> None:
        self.code = code
        lines = [line.strip() for line in log.splitlines() if line.strip()]
        super().__init__(f"ffmpeg failed ({code}): {'; '.join(lines[-3:]) or 'without a message'}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Media:
    """What is known of a video. The duration is 0 where the container does not tell it."""

    duration: timedelta
    width: int
    height: int


def executable() -> str:
    """The path of ffmpeg."""
    return str(imageio_ffmpeg.get_ffmpeg_exe())


async def probe(path: Path) -> Media:
    """Duration and size of a video as it is shown; raises UnrecoverableError for what is not a video."""
    try:
        log = await run("-loglevel", "info", *_INPUT, "-i", str(path), *_NOTHING)
    except FfmpegFailed as error:
        raise UnrecoverableError(f"not a video: {path.name}") from error
    size = re.search(r"Video: .*?, (\d+)x(\d+)", log)
    if size is None:
        raise UnrecoverableError(f"not a video: {path.name}")
    width, height = int(size[1]), int(size[2])
    if re.search(r"rotation of -?(90|270)\.", log):
        width, height = height, width
    return Media(duration=_duration(log), width=width, height=height)


async def make_clip(target: Path, duration: timedelta = CLIP_DURATION) -> None:
    """Make a moving test picture with a tone: H.264 and AAC in an MP4."""
    width, height = CLIP_SIZE
    await run(
        *("-f", "lavfi", "-i", f"testsrc2=size={width}x{height}:rate=25"),
        *("-f", "lavfi", "-i", "sine=frequency=440"),
        *("-t", _seconds(duration)),
        *_H264,
        *("-y", str(target)),
    )


async def make_thumbnail(video: Path, target: Path, at: timedelta) -> None:
    """Make a JPEG of the picture at a moment of the video."""
    await run(
        *("-ss", _seconds(at), *_INPUT, "-i", str(video)),
        *("-map", "0:v:0", "-frames:v", "1", "-vf", rf"scale=min({THUMBNAIL_WIDTH}\,iw):-2"),
        *("-q:v", "3", "-update", "1", "-y", str(target)),
    )


async def overlay(video: Path, picture: Path, target: Path, duration: timedelta, on_progress: OnProgress) -> None:
    """Lay a transparent PNG over the lower right corner of the whole video."""
    # H.264 in yuv420p has even sizes only, so an odd row or column at the edge is cut off.
    graph = "[0:v:0][1:v:0]overlay=W-w:H-h,crop=trunc(iw/2)*2:trunc(ih/2)*2:0:0[out]"
    await run(
        *(*_INPUT, "-i", str(video)),
        # png_pipe, because the default reader of pictures takes a "%" in the path for a counter.
        *("-f", "png_pipe", "-i", str(picture)),
        *("-filter_complex", graph, "-map", "[out]", "-map", "0:a?"),
        *_H264,
        *("-y", str(target)),
        duration=duration,
        on_progress=on_progress,
    )


async def run(*arguments: str, duration: timedelta = timedelta(0), on_progress: OnProgress | None = None) -> str:
    """Run ffmpeg to its end and return its log; raises FfmpegFailed.

    With a `duration`, `on_progress` is awaited with the percentage of it that has been written.
    """
    # The log goes to a file: a full pipe that nobody reads would stop ffmpeg.
    with tempfile.TemporaryFile() as log:
        process = await asyncio.create_subprocess_exec(
            executable(),
            *_QUIET,
            *_PROGRESS,
            *arguments,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=log,
        )
        code = await _follow(process, duration, on_progress)
        text = _end_of(log)
    if code != 0:
        raise FfmpegFailed(code, text)
    return text


async def _follow(process: asyncio.subprocess.Process, duration: timedelta, on_progress: OnProgress | None) -> int:
    assert process.stdout is not None  # noqa: S101 -- it was asked for as a pipe
    told = -1
    try:
        async for line in process.stdout:
            percent = _percent(line, duration)
            # Sound and pictures are not written in step, so ffmpeg may say less than it did before.
            if on_progress is not None and percent is not None and percent > told:
                told = percent
                await on_progress(percent)
        return await process.wait()
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


def _percent(line: bytes, duration: timedelta) -> int | None:
    """How much is done by one line of `-progress`, or None when it does not say so."""
    key, _, value = line.strip().partition(b"=")
    if key != b"out_time_us" or not value.isdigit() or not duration:
        return None
    return min(100, int(timedelta(microseconds=int(value)) / duration * 100))


def _duration(log: str) -> timedelta:
    found = re.search(r"Duration: (\d+):(\d\d):(\d\d(?:\.\d+)?)", log)
    if found is None:
        return timedelta(0)
    return timedelta(hours=int(found[1]), minutes=int(found[2]), seconds=float(found[3]))


def _seconds(duration: timedelta) -> str:
    return f"{duration.total_seconds():.3f}"


def _end_of(log: IO[bytes]) -> str:
    length = log.seek(0, 2)
    log.seek(max(0, length - LOG_BYTES))
    return log.read().decode(errors="replace")
