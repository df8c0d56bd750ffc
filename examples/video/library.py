"""Where videos come from: the library's clips, local files, and addresses of the web."""

import asyncio
import re
import stat
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import httpx

from bullflow import JobFailure, UnrecoverableError
from examples.video import ffmpeg, outputs
from examples.video.ffmpeg import OnProgress

MIB = 1024 * 1024
MAX_BYTES = 512 * MIB
CHUNK = MIB // 4
TIMEOUT = httpx.Timeout(30)

_VIDEO_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
# Answers that may be different at the next attempt.
_PASSING = frozenset({408, 425, 429})


class TooLarge(UnrecoverableError):
    """A video has more bytes than a download may have."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        super().__init__(f"the video is larger than the limit of {limit / MIB:g} MiB")


class DownloadFailed(JobFailure):
    """An address did not give its video; the next attempt may have more luck."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Source:
    chunks: AsyncIterator[bytes]
    size: int | None


async def clip(video_id: str) -> Path:
    """The library's clip with this id.

    It is a library for trying things out: a clip that it lacks is made on first use. Two first uses at once each
    make it, and the later one replaces the other's file; nobody sees half of one.
    """
    if not _VIDEO_ID.fullmatch(video_id):
        raise UnrecoverableError(f"videoId may have 1 to 64 letters, digits, '_' and '-', which {video_id!r} has not")
    path = outputs.library_dir() / f"{video_id}.mp4"
    if not await asyncio.to_thread(path.is_file):
        with outputs.whole_file(path) as part:
            await ffmpeg.make_clip(part)
    return path


async def download(url: str, target: Path, on_progress: OnProgress, max_bytes: int = MAX_BYTES) -> int:
    """Copy what lies under an http(s) address or a path to `target` and return its size in bytes.

    `on_progress` is awaited with the percentage. Nothing is left at `target` when it fails.
    """
    with outputs.whole_file(target) as part:
        async with _open(url) as source:
            if source.size is not None and source.size > max_bytes:
                raise TooLarge(max_bytes)
            return await _save(source, part, on_progress, max_bytes)


async def _save(source: _Source, target: Path, on_progress: OnProgress, max_bytes: int) -> int:
    written = percent = 0
    with await asyncio.to_thread(target.open, "wb") as file:
        async for chunk in source.chunks:
            written += len(chunk)
            if written > max_bytes:
                raise TooLarge(max_bytes)
            await asyncio.to_thread(file.write, chunk)
            before, percent = percent, min(100, 100 * written // source.size) if source.size else 0
            if percent > before:
                await on_progress(percent)
    return written


@asynccontextmanager
async def _open(url: str) -> AsyncIterator[_Source]:
    scheme = _SCHEME.match(url)
    if scheme is None:
        opening = _open_file(Path(url))
    elif scheme[1].lower() in ("http", "https"):
        opening = _open_web(url)
    else:
        raise UnrecoverableError(f"url must be a path or begin with http:// or https://, not with {scheme[0]}")
    async with opening as source:
        yield source


@asynccontextmanager
async def _open_file(path: Path) -> AsyncIterator[_Source]:
    try:
        about = await asyncio.to_thread(path.stat)
        if not stat.S_ISREG(about.st_mode):
            raise UnrecoverableError(f"not a file: {path}")
        file = await asyncio.to_thread(path.open, "rb")
    except (OSError, ValueError) as error:
        raise UnrecoverableError(f"cannot read {path}: {getattr(error, 'strerror', None) or error}") from error
    with file:
        async with aclosing(_chunks(file)) as chunks:
            yield _Source(chunks=chunks, size=about.st_size)


async def _chunks(file: IO[bytes]) -> AsyncGenerator[bytes, None]:
    while chunk := await asyncio.to_thread(file.read, CHUNK):
        yield chunk


@asynccontextmanager
async def _open_web(url: str) -> AsyncIterator[_Source]:
    try:
        async with (
            httpx.AsyncClient(timeout=TIMEOUT, follow_redirects=True) as client,
            client.stream("GET", url, headers={"Accept-Encoding": "identity"}) as response,
        ):
            _check(response, url)
            length = response.headers.get("Content-Length", "")
            yield _Source(chunks=response.aiter_bytes(CHUNK), size=int(length) if length.isdigit() else None)
    except (httpx.InvalidURL, httpx.UnsupportedProtocol) as error:
        raise UnrecoverableError("url is not an address of the web") from error
    except httpx.HTTPError as error:
        raise DownloadFailed(f"cannot download {_shown(url)}: {str(error) or type(error).__name__}") from error


def _check(response: httpx.Response, url: str) -> None:
    if response.is_success:
        return
    message = f"cannot download {_shown(url)}: {response.status_code} {response.reason_phrase}"
    passing = response.is_server_error or response.status_code in _PASSING
    raise DownloadFailed(message) if passing else UnrecoverableError(message)


def _shown(url: str) -> str:
    """An address for a message: without the parts in which passwords and tokens travel."""
    parts = httpx.URL(url)
    return f"{parts.scheme}://{parts.host}{parts.path}"
