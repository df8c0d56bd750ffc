"""`make profile`: where the time of `bullflow up` goes in a burst.

py-spy samples the running process, first for the tables, then for a flame graph. A sample belongs to
the room of ours that is innermost on its stack; the tables say how much of it is the room's own code,
and how much that of the libraries it calls.
"""

import argparse
import asyncio
import signal
import subprocess
import sysconfig
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench.connections import connected
from bench.databases import SQLITE, postgres
from bench.driving import burst
from bench.plan import run
from bench.report import RESULTS
from bench.service import Running, up

SAMPLES_A_SECOND = 200
NOBODY = "no room of ours"
LOOP = "the event loop itself"
ASLEEP = ("wait (threading", "_worker (concurrent", "select (selectors", "epoll")
PY_SPY = Path(sysconfig.get_path("scripts")) / "py-spy"


@dataclass(slots=True, kw_only=True)
class Profile:
    """Samples by room and by library, and which libraries each room's samples end in."""

    total: int = 0
    rooms: Counter[str] = field(default_factory=Counter)
    libraries: Counter[str] = field(default_factory=Counter)
    within: dict[str, Counter[str]] = field(default_factory=dict)

    def add(self, frames: Sequence[str], samples: int) -> None:
        room = next((_room(frame) for frame in reversed(frames) if _is_ours(frame)), NOBODY)
        library = _library(frames[-1])
        self.total += samples
        self.rooms[room] += samples
        self.libraries[library] += samples
        self.within.setdefault(room, Counter())[library] += samples


def main() -> None:
    parser = argparse.ArgumentParser(prog="profiling", description=__doc__)
    parser.add_argument("--database", choices=["sqlite", "postgres"], default="sqlite")
    parser.add_argument("--flows", type=int, default=1_000)
    arguments = parser.parse_args()
    RESULTS.mkdir(exist_ok=True)
    flames = RESULTS / f"profile-{arguments.database}.svg"
    with ExitStack() as stack:
        store = SQLITE if arguments.database == "sqlite" else stack.enter_context(postgres())
        running = stack.enter_context(up(stack.enter_context(store.empty())))
        raw = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bullflow-bench-"))) / "raw"
        speed = _sampled(running, "raw", raw, arguments.flows)
        _sampled(running, "flamegraph", flames, arguments.flows)
        profile = _read(raw)
    console = Console(width=140)
    console.print(
        f"{store.name}, {arguments.flows:,} flows of 1 + 10 at {speed:,.0f} jobs/s under py-spy", style="italic"
    )
    console.print(_rooms(profile))
    console.print(_libraries(profile))
    console.print(f"The flame graph is in {flames.relative_to(Path.cwd())}")


def _sampled(running: Running, kind: str, into: Path, flows: int) -> float:
    """Jobs a second of a burst during which py-spy writes this kind of file."""
    command = [str(PY_SPY), "record", "--duration", "unlimited", "--rate", str(SAMPLES_A_SECOND), "--format", kind]
    command += ["--output", str(into), "--pid", str(running.process.pid)]
    spy = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    try:
        speed = run(_burst(running, flows))
    finally:
        spy.send_signal(signal.SIGINT)
        said, _ = spy.communicate(timeout=60)
    if not into.exists():
        raise SystemExit(f"py-spy has written nothing:\n{said.decode()}")
    return speed


async def _burst(running: Running, flows: int) -> float:
    async with connected(running.url) as http:
        await asyncio.sleep(1)  # py-spy looks at the process first
        return (await burst(http, flows, 16)).speed


def _read(raw: Path) -> Profile:
    """From lines of frames, outermost first and each with its file, and a number of samples."""
    profile = Profile()
    for frames, samples in _stacks(raw.read_text()):
        if not any(name in frames[-1] for name in ASLEEP):
            profile.add(frames, samples)
    return profile


def _stacks(text: str) -> Iterator[tuple[list[str], int]]:
    for line in text.splitlines():
        stack, _, samples = line.rpartition(" ")
        yield stack.split(";"), int(samples)


def _file(frame: str) -> str:
    """Of `name (file:line)`."""
    return frame.rpartition(" (")[2].rstrip(")").rpartition(":")[0]


def _is_ours(frame: str) -> bool:
    return _file(frame).startswith(("bullflow/", "bench/")) or "/src/bullflow/" in _file(frame)


def _room(frame: str) -> str:
    """The module below src/bullflow; below the one that runs the event loop there is only the loop."""
    room = _file(frame).rpartition("/src/")[2].removesuffix(".py")
    return LOOP if room == "bullflow/cli/running" else room


def _library(frame: str) -> str:
    """The package that a frame's file is in; files of the standard library have none."""
    if _is_ours(frame):
        return "bullflow"
    file = _file(frame).rpartition("site-packages/")[2]
    return file.partition("/")[0].removesuffix(".py") or "interpreter"


def _rooms(profile: Profile) -> Table:
    table = Table("share", "room", "where in it", title="By room", title_justify="left")
    for room, samples in profile.rooms.most_common(30):
        parts = (f"{name} {_share(part, samples)}" for name, part in profile.within[room].most_common(5))
        table.add_row(_share(samples, profile.total), room, ", ".join(parts))
    return table


def _libraries(profile: Profile) -> Table:
    table = Table("share", "library", title="By library, its own code", title_justify="left")
    for library, samples in profile.libraries.most_common(15):
        table.add_row(_share(samples, profile.total), library)
    return table


def _share(part: int, whole: int) -> str:
    return f"{100 * part / whole:.1f} %"


if __name__ == "__main__":
    main()
