"""The three handlers of the video flow."""

import asyncio
import tempfile
from pathlib import Path
from typing import Any

from PIL import Image

from bullflow import Job, UnrecoverableError, Worker
from examples.video import ffmpeg, library, outputs, watermark
from examples.video.aborting import unless_aborted

DEFAULT_TEXT = "My Watermark"
MAX_TEXT = 200

worker = Worker("flowQueue", concurrency=4)


@worker.task("download-video", timeout=900)
async def download_video(job: Job) -> dict[str, Any]:
    """Fetch the video that `url` (a path or http(s) address) or `videoId` (a clip of the library) names."""
    return await unless_aborted(_download(job), job.signal)


@worker.task("generate-thumbnail", timeout=120)
async def generate_thumbnail(job: Job) -> dict[str, Any]:
    """Make a JPEG of the middle of the video that the child job has downloaded."""
    return await unless_aborted(_thumbnail(job), job.signal)


@worker.task("watermark-video", timeout=3600)
async def watermark_video(job: Job) -> dict[str, Any]:
    """Write `watermarkText` into the corner of the video that the child job has downloaded."""
    return await unless_aborted(_watermark(job), job.signal)


async def _download(job: Job) -> dict[str, Any]:
    source = await _source(_field(job.data, "url"), _field(job.data, "videoId"))
    target = _output(job, "source", ".mp4")
    return {"bytes": await library.download(source, target, job.progress), "filePath": str(target)}


async def _thumbnail(job: Job) -> dict[str, Any]:
    video = _child_video(job)
    target = _output(job, "thumbnail", ".jpg")
    media = await ffmpeg.probe(video)
    with outputs.whole_file(target) as part:
        await ffmpeg.make_thumbnail(video, part, at=media.duration / 2)
        width, height = await asyncio.to_thread(_picture_size, part)
    return {"thumbnailPath": str(target), "width": width, "height": height}


async def _watermark(job: Job) -> dict[str, Any]:
    text = _text(job.data)
    video = _child_video(job)
    target = _output(job, "watermarked", ".mp4")
    media = await ffmpeg.probe(video)
    with tempfile.TemporaryDirectory() as folder, outputs.whole_file(target) as part:
        picture = Path(folder) / "watermark.png"
        await asyncio.to_thread(watermark.draw, text, media.width, media.height, picture)
        await ffmpeg.overlay(video, picture, part, media.duration, job.progress)
    made = await ffmpeg.probe(target)
    result = {"outputPath": str(target), "watermarkText": text, "durationSeconds": made.duration.total_seconds()}
    thumbnail = _field(job.children.get("generate-thumbnail"), "thumbnailPath")
    return result if thumbnail is None else {**result, "thumbnailPath": thumbnail}


async def _source(url: str | None, video_id: str | None) -> str:
    if url is not None:
        return url
    if video_id is not None:
        return str(await library.clip(video_id))
    raise UnrecoverableError("download-video needs a videoId or a url in its data")


def _child_video(job: Job) -> Path:
    path = _field(job.children.get("download-video"), "filePath")
    if not path:
        raise UnrecoverableError("Video file path not received from child job.")
    return Path(path).absolute()


def _text(data: Any) -> str:
    """The text of the watermark on one line."""
    text = " ".join((_field(data, "watermarkText") or DEFAULT_TEXT).split())
    if not text or len(text) > MAX_TEXT or not text.isprintable():
        raise UnrecoverableError(f"watermarkText must be 1 to {MAX_TEXT} printable characters")
    return text


def _field(data: Any, key: str) -> str | None:
    """A text out of data that others have written, or None where there is none."""
    value = data.get(key) if isinstance(data, dict) else None
    if value is None or isinstance(value, str):
        return value
    raise UnrecoverableError(f"{key} must be a text, not {type(value).__name__}")


def _output(job: Job, what: str, suffix: str) -> Path:
    return outputs.output_path(job.flow_id or "no-flow", job.id, what, suffix)


def _picture_size(path: Path) -> tuple[int, int]:
    with Image.open(path) as picture:
        return picture.size
