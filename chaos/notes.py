"""What the handlers note: one line for each start and each end, in a file that all workers share."""

import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """`what` is `start`, `end` or `failure`; `at` is the wall clock's time in seconds."""

    what: str
    job_id: str
    attempt: int
    at: float
    monotonic: float
    pid: int

    @property
    def job(self) -> str:
        """The job, whichever run of it."""
        return self.job_id.rpartition("-")[0]


@contextmanager
def noting(job_id: str, attempt: int) -> Iterator[None]:
    """Note the start, and how the handler ends."""
    _note("start", job_id, attempt)
    try:
        yield
    except BaseException:
        _note("failure", job_id, attempt)
        raise
    _note("end", job_id, attempt)


def _note(what: str, job_id: str, attempt: int) -> None:
    line = json.dumps([what, job_id, attempt, time.time(), time.monotonic(), os.getpid()])
    # One short write to a file opened for appending: lines of several processes do not mix.
    file = os.open(os.environ["CHAOS_NOTES"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        os.write(file, f"{line}\n".encode())
    finally:
        os.close(file)


def read(path: Path) -> list[Note]:
    if not path.exists():
        return []
    lines = (json.loads(line) for line in path.read_text().splitlines())
    return [
        Note(what=what, job_id=job_id, attempt=attempt, at=at, monotonic=monotonic, pid=pid)
        for what, job_id, attempt, at, monotonic, pid in lines
    ]
