"""The video example's own parts, with the real ffmpeg, real files and a real web server."""

import asyncio
import json
import subprocess
import threading
from collections.abc import Awaitable, Callable, Iterator, Mapping
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import psutil
import pytest
from PIL import Image, ImageChops, ImageStat

from bullflow import Job, JobFailure, UnrecoverableError
from bullflow.worker.signal import AbortSignal
from examples.video import ffmpeg, handlers, library, outputs, watermark
from examples.video.aborting import Aborted, unless_aborted
from examples.video.flow import video_flow

SECOND = timedelta(seconds=1)
ENDLESS = ("-re", "-f", "lavfi", "-i", "testsrc2=rate=25", "-f", "null", "-")
VIDEO = b"\0" * 300_000


class Progress:
    """Keeps what was reported, and can do something at the first report."""

    def __init__(self, at_first: Callable[[], object] = lambda: None) -> None:
        self.reports: list[int] = []
        self._at_first = at_first

    async def __call__(self, percent: int) -> None:
        self.reports.append(percent)
        if len(self.reports) == 1:
            self._at_first()


class VideoServer(BaseHTTPRequestHandler):
    """A web server whose paths name what it does with the video."""

    def do_GET(self) -> None:
        if self.path.startswith("/missing.mp4"):
            self.send_error(404)
            return
        self.send_response(200)
        if self.path != "/unknown-length.mp4":
            self.send_header("Content-Length", str(len(VIDEO)))
        self.end_headers()
        self.wfile.write(VIDEO if self.path != "/breaks-off.mp4" else VIDEO[:1000])

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def web() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), VideoServer) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture
async def clip(tmp_path: Path) -> Path:
    path = tmp_path / "clip.mp4"
    await ffmpeg.make_clip(path, SECOND)
    return path


@pytest.fixture
def output_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(outputs.OUTPUT_DIR, str(tmp_path / "out"))
    return tmp_path / "out"


# --- ffmpeg --------------------------------------------------------------------------------------


async def test_a_made_clip_has_the_size_and_duration_that_were_asked_for(clip: Path) -> None:
    media = await ffmpeg.probe(clip)

    assert (media.width, media.height) == ffmpeg.CLIP_SIZE
    assert media.duration.total_seconds() == pytest.approx(1, abs=0.1)


async def test_a_watermark_keeps_the_duration_and_reports_progress_up_to_the_end(clip: Path, tmp_path: Path) -> None:
    progress = Progress()

    marked = await watermarked(clip, tmp_path, progress)

    before, after = await ffmpeg.probe(clip), await ffmpeg.probe(marked)
    assert after.duration.total_seconds() == pytest.approx(before.duration.total_seconds(), abs=0.1)
    assert (after.width, after.height) == (before.width, before.height)
    assert progress.reports == sorted(progress.reports)
    assert progress.reports[-1] >= 95


async def test_a_watermark_changes_the_lower_right_corner_and_nothing_else(clip: Path, tmp_path: Path) -> None:
    marked = await watermarked(clip, tmp_path)

    difference = ImageChops.difference(first_picture(clip), first_picture(marked))
    width, height = difference.size
    assert strength(difference.crop((width * 3 // 4, height * 9 // 10, width, height))) > 10
    assert strength(difference.crop((0, 0, width // 2, height))) < 3


async def test_a_thumbnail_is_a_jpeg_with_the_proportions_of_the_video(clip: Path, tmp_path: Path) -> None:
    await ffmpeg.make_thumbnail(clip, tmp_path / "thumbnail.jpg", at=SECOND / 2)

    with Image.open(tmp_path / "thumbnail.jpg") as picture:
        picture.load()
        assert (picture.format, picture.size) == ("JPEG", (480, 270))


async def test_what_is_not_a_video_is_refused_for_good(tmp_path: Path) -> None:
    text = tmp_path / "text.mp4"
    text.write_text("no video")

    with pytest.raises(UnrecoverableError, match=r"not a video: text\.mp4"):
        await ffmpeg.probe(text)


async def test_a_playlist_that_points_to_other_files_is_not_followed(clip: Path, tmp_path: Path) -> None:
    playlist = tmp_path / "playlist.mp4"
    playlist.write_text(f"#EXTM3U\n#EXTINF:1,\n{clip}\n")

    with pytest.raises(UnrecoverableError, match="not a video"):
        await ffmpeg.probe(playlist)


async def test_a_failure_carries_the_last_words_of_ffmpeg(tmp_path: Path) -> None:
    with pytest.raises(ffmpeg.FfmpegFailed, match="No such file or directory"):
        await ffmpeg.make_thumbnail(tmp_path / "missing.mp4", tmp_path / "thumbnail.jpg", at=SECOND)


async def test_an_aborted_job_kills_its_ffmpeg() -> None:
    signal = AbortSignal()
    progress = Progress(at_first=lambda: signal.abort("cancelled"))

    with pytest.raises(Aborted, match="aborted: cancelled"):
        await unless_aborted(ffmpeg.run(*ENDLESS, duration=timedelta(hours=1), on_progress=progress), signal)

    assert not [child for child in psutil.Process().children() if "ffmpeg" in child.name()]


async def test_a_job_that_is_cancelled_from_outside_kills_its_ffmpeg_too() -> None:
    task: asyncio.Task[str]
    progress = Progress(at_first=lambda: task.cancel())
    task = asyncio.create_task(
        unless_aborted(ffmpeg.run(*ENDLESS, duration=timedelta(hours=1), on_progress=progress), AbortSignal())
    )

    with pytest.raises(asyncio.CancelledError):
        await task

    assert not [child for child in psutil.Process().children() if "ffmpeg" in child.name()]


async def test_work_that_ends_before_the_signal_gives_its_result() -> None:
    async def work() -> int:
        return 42

    assert await unless_aborted(work(), AbortSignal()) == 42


@pytest.mark.parametrize("text", ["x", "a long text " * 16, "100% [in]:'quoted';\\", "Ünïcödé"])
def test_every_text_fits_into_a_small_video(text: str, tmp_path: Path) -> None:
    watermark.draw(text, 320, 180, tmp_path / "watermark.png")

    with Image.open(tmp_path / "watermark.png") as picture:
        assert picture.mode == "RGBA"
        assert picture.width <= 320
        assert picture.height <= 180
        assert picture.getbbox() is not None


# --- where videos come from ------------------------------------------------------------------------


async def test_two_first_uses_at_once_both_see_the_whole_clip(output_dir: Path) -> None:
    async def use() -> float:
        return (await ffmpeg.probe(await library.clip("sample"))).duration.total_seconds()

    first, second = await asyncio.gather(use(), use())

    assert first == second == pytest.approx(ffmpeg.CLIP_DURATION.total_seconds(), abs=0.1)
    assert names_in(output_dir / "library") == ["sample.mp4"]


async def test_a_clip_of_the_library_is_used_and_not_made_again(output_dir: Path) -> None:
    mine = output_dir / "library" / "mine.mp4"
    mine.parent.mkdir(parents=True)
    mine.write_bytes(VIDEO)

    assert await library.clip("mine") == mine
    assert mine.read_bytes() == VIDEO


@pytest.mark.parametrize("video_id", ["../../etc/passwd", "a/b", "..", "", "a" * 65, "sample\n", "sämple"])
async def test_a_video_id_that_could_leave_the_library_is_refused(video_id: str, output_dir: Path) -> None:
    with pytest.raises(UnrecoverableError, match="videoId may have"):
        await library.clip(video_id)

    assert names_in(output_dir.parent) == []


def test_ids_from_the_queue_cannot_leave_the_output_folder(output_dir: Path) -> None:
    path = outputs.output_path("../../etc", "/root/../x", "source", ".mp4")

    assert path.is_relative_to(output_dir)
    assert path.resolve() == path


async def test_a_local_file_is_copied_with_progress(tmp_path: Path) -> None:
    source, target, progress = tmp_path / "source.mp4", tmp_path / "flow" / "target.mp4", Progress()
    source.write_bytes(VIDEO)

    assert await library.download(str(source), target, progress) == len(VIDEO)

    assert target.read_bytes() == VIDEO
    assert progress.reports == [87, 100]


async def test_a_web_address_is_downloaded_with_progress(web: str, tmp_path: Path) -> None:
    progress = Progress()

    assert await library.download(f"{web}/video.mp4", tmp_path / "target.mp4", progress) == len(VIDEO)

    assert (tmp_path / "target.mp4").read_bytes() == VIDEO
    assert progress.reports[-1] == 100


async def test_a_download_that_breaks_off_may_be_tried_again_and_leaves_no_file(web: str, tmp_path: Path) -> None:
    with pytest.raises(library.DownloadFailed, match=r"cannot download http://127\.0\.0\.1/breaks-off\.mp4: .*closed"):
        await library.download(f"{web}/breaks-off.mp4", tmp_path / "target.mp4", Progress())

    assert names_in(tmp_path) == []


async def test_an_aborted_download_leaves_no_file(web: str, tmp_path: Path) -> None:
    signal = AbortSignal()
    reached = asyncio.Event()

    async def never_goes_on(_: int) -> None:
        signal.abort("timed out")
        await reached.wait()

    with pytest.raises(Aborted, match="timed out"):
        await unless_aborted(library.download(f"{web}/video.mp4", tmp_path / "target.mp4", never_goes_on), signal)

    assert names_in(tmp_path) == []


@pytest.mark.parametrize("path", ["video.mp4", "unknown-length.mp4"])
async def test_a_video_over_the_limit_is_refused_and_leaves_no_file(path: str, web: str, tmp_path: Path) -> None:
    with pytest.raises(library.TooLarge, match=r"larger than the limit of 0\.25 MiB"):
        await library.download(f"{web}/{path}", tmp_path / "target.mp4", Progress(), max_bytes=library.MIB // 4)

    assert names_in(tmp_path) == []


async def test_a_local_file_over_the_limit_is_refused(tmp_path: Path) -> None:
    (tmp_path / "source.mp4").write_bytes(VIDEO)

    with pytest.raises(library.TooLarge):
        await library.download(str(tmp_path / "source.mp4"), tmp_path / "target.mp4", Progress(), max_bytes=1000)

    assert names_in(tmp_path) == ["source.mp4"]


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("{web}/missing.mp4", "404 Not Found"),
        ("/no/such/file.mp4", "cannot read /no/such/file.mp4: No such file or directory"),
        ("/dev/zero", "not a file: /dev/zero"),
        ("ftp://host/video.mp4", "must be a path or begin with http:// or https://, not with ftp://"),
        ("http://host:port/", "url is not an address"),
        ("http://", "url is not an address"),
        ("nul\0byte", "cannot read"),
    ],
)
async def test_a_source_that_cannot_work_is_refused_with_the_reason(
    url: str, message: str, web: str, tmp_path: Path
) -> None:
    with pytest.raises(JobFailure) as caught:
        await library.download(url.format(web=web), tmp_path / "target.mp4", Progress())

    assert message in str(caught.value)
    assert names_in(tmp_path) == []


async def test_passwords_in_an_address_do_not_get_into_messages(web: str, tmp_path: Path) -> None:
    url = web.replace("http://", "http://user:secret@") + "/missing.mp4?token=secret"

    with pytest.raises(UnrecoverableError) as caught:
        await library.download(url, tmp_path / "target.mp4", Progress())

    assert "secret" not in str(caught.value)


def test_the_flow_for_the_command_line_is_the_flow_of_the_demo() -> None:
    text = Path("examples/video/flow.json").read_text(encoding="utf-8")

    assert json.loads(text) == video_flow()


# --- the handlers ----------------------------------------------------------------------------------


async def test_the_handlers_hand_the_video_from_child_to_parent(clip: Path, output_dir: Path) -> None:
    downloaded = await handlers.download_video(job("a", {"url": str(clip)}))
    thumbnail = await handlers.generate_thumbnail(job("b", {}, {"download-video": downloaded}))
    children = {"download-video": downloaded, "generate-thumbnail": thumbnail}
    marked = await handlers.watermark_video(job("c", {"watermarkText": "  two\nlines "}, children))

    folder = output_dir / "flow"
    assert downloaded == {"filePath": str(folder / "source-a.mp4"), "bytes": size_of(clip)}
    assert thumbnail == {"thumbnailPath": str(folder / "thumbnail-b.jpg"), "width": 480, "height": 270}
    assert marked == {
        "outputPath": str(folder / "watermarked-c.mp4"),
        "watermarkText": "two lines",
        "durationSeconds": pytest.approx(1, abs=0.1),
        "thumbnailPath": str(folder / "thumbnail-b.jpg"),
    }
    assert names_in(folder) == ["source-a.mp4", "thumbnail-b.jpg", "watermarked-c.mp4"]


async def test_the_watermark_has_a_text_of_its_own_when_none_is_given(clip: Path, output_dir: Path) -> None:
    marked = await handlers.watermark_video(job("c", {}, {"download-video": {"filePath": str(clip)}}))

    assert marked["watermarkText"] == "My Watermark"
    assert "thumbnailPath" not in marked


@pytest.mark.parametrize("handler", [handlers.watermark_video, handlers.generate_thumbnail])
@pytest.mark.parametrize(
    "children", [{}, {"other": {"filePath": "/x.mp4"}}, {"download-video": None}, {"download-video": {"filePath": ""}}]
)
async def test_a_parent_without_a_path_from_its_child_fails_and_says_so(
    handler: Callable[[Job], Awaitable[object]], children: dict[str, object]
) -> None:
    with pytest.raises(UnrecoverableError, match=r"^Video file path not received from child job\.$"):
        await handler(job("c", {}, children))


@pytest.mark.parametrize(
    ("handler", "data", "message"),
    [
        (handlers.download_video, {}, "download-video needs a videoId or a url in its data"),
        (handlers.download_video, None, "download-video needs a videoId or a url in its data"),
        (handlers.download_video, {"videoId": 42}, "videoId must be a text, not int"),
        (handlers.watermark_video, {"watermarkText": ["x"]}, "watermarkText must be a text, not list"),
        (handlers.watermark_video, {"watermarkText": "x" * 201}, "watermarkText must be 1 to 200 printable characters"),
        (handlers.watermark_video, {"watermarkText": " "}, "watermarkText must be 1 to 200 printable characters"),
    ],
)
async def test_data_that_cannot_work_fails_the_job_for_good(
    handler: Callable[[Job], Awaitable[object]], data: object, message: str
) -> None:
    with pytest.raises(UnrecoverableError, match=message):
        await handler(job("c", data, {"download-video": {"filePath": "/x.mp4"}}))


# --- helpers ---------------------------------------------------------------------------------------


def job(job_id: str, data: object, children: Mapping[str, object] | None = None) -> Job:
    """What the handlers use of a job, without a queue behind it."""
    parts = {"id": job_id, "flow_id": "flow", "data": data, "children": children or {}}
    return cast("Job", SimpleNamespace(**parts, progress=Progress(), signal=AbortSignal()))


async def watermarked(clip: Path, folder: Path, on_progress: Callable[[int], Awaitable[None]] | None = None) -> Path:
    media = await ffmpeg.probe(clip)
    watermark.draw("My Watermark", media.width, media.height, folder / "watermark.png")
    target = folder / "marked.mp4"
    await ffmpeg.overlay(clip, folder / "watermark.png", target, media.duration, on_progress or Progress())
    return target


def first_picture(video: Path) -> Image.Image:
    command = [ffmpeg.executable(), "-v", "error", "-i", str(video), "-frames:v", "1"]
    raw = subprocess.run([*command, "-f", "rawvideo", "-pix_fmt", "rgb24", "-"], check=True, stdout=subprocess.PIPE)
    return Image.frombytes("RGB", ffmpeg.CLIP_SIZE, raw.stdout)


def strength(difference: Image.Image) -> float:
    return max(ImageStat.Stat(difference).mean)


def size_of(path: Path) -> int:
    return path.stat().st_size


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())
