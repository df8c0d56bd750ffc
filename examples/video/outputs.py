"""Where the example's files lie, and how a file appears under its name only when it is whole.

$VIDEO_OUTPUT_DIR (./video-out)/
  library/<videoId>.mp4       the clips that `videoId` names
  <flow id>/<what>-<job id>   what the jobs of one flow have made
"""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

OUTPUT_DIR = "VIDEO_OUTPUT_DIR"


def output_dir() -> Path:
    """The folder of everything that the example writes."""
    return Path(os.environ.get(OUTPUT_DIR) or "video-out").absolute()


def library_dir() -> Path:
    """The folder of the clips."""
    return output_dir() / "library"


def output_path(flow_id: str, job_id: str, what: str, suffix: str) -> Path:
    """The file of one job; the name is fixed by the job, so that a second attempt overwrites the first."""
    return output_dir() / _as_name(flow_id) / f"{what}-{_as_name(job_id)}{suffix}"


@contextmanager
def whole_file(target: Path) -> Iterator[Path]:
    """A temporary path beside `target`, which becomes `target` when the block ends well, and else goes away.

    Several may write the same target at once: each has its own temporary file, and readers see one of them, whole.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    # ffmpeg chooses the format by the suffix, so the temporary name must keep it.
    part = target.with_name(f".{target.stem}.{uuid4().hex}{target.suffix}")
    try:
        yield part
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)


def _as_name(text: str) -> str:
    # Ids come from the queue, where anybody with access to Redis may have put them.
    return re.sub(r"[^A-Za-z0-9_-]", "_", text)[:128] or "_"
