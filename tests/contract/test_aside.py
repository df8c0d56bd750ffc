"""The process in which large requests are read: what it gives back, and that it neither stays away nor stays behind."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import timedelta
from operator import concat
from pathlib import Path
from pickle import PickleBuffer
from threading import Event

import psutil
import pytest

from bullflow.errors import Invalid, Malformed, ReaderAway
from bullflow.http import aside as aside_module
from bullflow.http.aside import LESS_URGENT, Aside
from bullflow.wire import Limits
from bullflow.wire.bodies import flow_in

MIB = 2**20
LIMITS = Limits(jobs=3, depth=2, data_bytes=100)


@pytest.fixture
def aside() -> Iterator[Aside]:
    aside = Aside()
    yield aside
    aside.close()


async def test_what_is_read_there_is_what_would_be_read_here(aside: Aside) -> None:
    body = b'{"name": "a", "queueName": "q", "data": {"k": "\xc3\xa9"}, "children": [{"name": "b", "queueName": "q"}]}'

    assert await aside.do(flow_in, body, LIMITS) == flow_in(body, LIMITS)


@pytest.mark.parametrize("body", [b"{", b'{"name": 1, "children": [{}, {}]}', b"[]"])
async def test_what_is_wrong_is_told_as_it_would_be_here(aside: Aside, body: bytes) -> None:
    with pytest.raises(Invalid) as here:
        flow_in(body, LIMITS)
    with pytest.raises(Invalid) as there:
        await aside.do(flow_in, body, LIMITS)

    assert type(there.value) is type(here.value)
    assert there.value.faults == here.value.faults
    assert isinstance(here.value, Malformed) == (body == b"{")


async def test_large_arguments_arrive_whole(aside: Aside) -> None:
    first, second = (bytearray(half) * (MIB // 4) for half in (b"01234567", b"abcdefgh"))

    assert await aside.do(concat, PickleBuffer(first), PickleBuffer(second)) == first + second


async def test_an_error_of_python_is_raised_with_where_it_came_from(aside: Aside) -> None:
    with pytest.raises(ZeroDivisionError) as raised:
        await aside.do(divmod, 1, 0)

    assert "in _outcome" in raised.value.__notes__[0]
    assert await aside.do(divmod, 7, 2) == (3, 1)


async def test_who_leaves_in_the_middle_leaves_nothing_for_the_next(aside: Aside) -> None:
    await aside.do(os.getpid)
    leaving = asyncio.create_task(aside.do(time.sleep, 60))
    await asyncio.sleep(0)
    leaving.cancel()

    assert await aside.do(divmod, 7, 2) == (3, 1)
    assert leaving.cancelled()


async def test_it_is_another_process_which_gives_way_to_this_one(aside: Aside) -> None:
    pid = await aside.do(os.getpid)

    assert pid != os.getpid()
    assert await aside.do(os.getpid) == pid
    assert psutil.Process(pid).nice() >= LESS_URGENT


async def test_when_it_dies_whoever_waits_is_told_and_the_next_is_served(aside: Aside) -> None:
    pid = await aside.do(os.getpid)
    waiting = asyncio.create_task(aside.do(time.sleep, 60))
    os.kill(pid, signal.SIGKILL)

    with pytest.raises(ReaderAway):
        await waiting
    assert await aside.do(os.getpid) not in (pid, os.getpid())


async def test_what_takes_too_long_is_given_up_and_the_next_is_served(
    aside: Aside, monkeypatch: pytest.MonkeyPatch
) -> None:
    process = psutil.Process(await aside.do(os.getpid))
    monkeypatch.setattr(aside_module, "WITHIN", timedelta(milliseconds=50))
    with pytest.raises(ReaderAway):
        await aside.do(time.sleep, 60)
    await asyncio.to_thread(process.wait, 10)

    monkeypatch.undo()
    assert await aside.do(os.getpid) != process.pid


async def test_after_so_many_things_another_process_goes_on(aside: Aside, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aside_module, "THINGS", 3)
    pids = [await aside.do(os.getpid) for _ in range(4)]

    assert pids[0] == pids[1] == pids[2] != pids[3]


async def test_nothing_is_left_of_it_when_it_is_closed(aside: Aside) -> None:
    process = psutil.Process(await aside.do(os.getpid))
    waiting = asyncio.create_task(aside.do(time.sleep, 60))
    await asyncio.sleep(0)

    aside.close()

    await asyncio.to_thread(process.wait, 10)
    with pytest.raises(ReaderAway):
        await waiting
    with pytest.raises(ReaderAway, match="stops"):
        await aside.do(os.getpid)


async def test_what_else_waits_in_threads_is_not_in_its_way(aside: Aside) -> None:
    release = Event()
    handlers = [asyncio.create_task(asyncio.to_thread(release.wait)) for _ in range(100)]

    assert await aside.do(divmod, 7, 2) == (3, 1)

    release.set()
    await asyncio.gather(*handlers)


_PARENT = """
import asyncio, os, sys
from bullflow.http.aside import Aside

ASIDE = Aside()

async def main():
    if "works" in sys.argv:
        await ASIDE.do(exec, "import os, time; print(os.getpid(), flush=True); time.sleep(600)")
    print(await ASIDE.do(os.getpid), flush=True)
    if "waits" in sys.argv:
        await asyncio.Event().wait()

if __name__ == "__main__":
    asyncio.run(main())
"""


@pytest.mark.parametrize("does", ["works", "waits"])
def test_it_ends_with_a_parent_that_was_killed(tmp_path: Path, does: str) -> None:
    parent, aside = _parent(tmp_path, does)
    with parent:
        parent.kill()

    aside.wait(20)


def test_it_keeps_no_parent_from_ending_that_has_not_closed_it(tmp_path: Path) -> None:
    parent, aside = _parent(tmp_path, "ends")
    with parent:
        assert parent.wait(20) == 0

    aside.wait(20)


def _parent(folder: Path, does: str) -> tuple["subprocess.Popen[str]", psutil.Process]:
    script = folder / "parent.py"
    script.write_text(_PARENT)
    parent = subprocess.Popen([sys.executable, script, does], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    return parent, psutil.Process(int(parent.stdout.readline()))
