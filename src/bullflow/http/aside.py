"""A process of its own for what would keep everybody else waiting: Python runs one thing at a time in each process.

It is started when it is first needed, runs with lower priority, and ends with this one, also when this one is killed.
Should it die, it is started anew with the next thing to do.
"""

import asyncio
import multiprocessing
import os
import pickle
import signal
import traceback
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from multiprocessing.connection import Connection, wait
from multiprocessing.util import Finalize
from threading import Thread
from typing import Any, TypeVar

from bullflow.errors import BullflowError, ReaderAway
from bullflow.store.threads import Threads

T = TypeVar("T")

LESS_URGENT = 10
WITHIN = timedelta(seconds=60)
THINGS = 200
"""So many things one process does: what large ones have left in its memory is given back with it."""


class Aside:
    """One process, which does one thing after the other, in the order in which they come."""

    def __init__(self) -> None:
        self._helper: _Helper | None = None
        self._turn = asyncio.Lock()
        self._is_closed = False

    async def do(self, work: Callable[..., T], *arguments: Any) -> T:
        """What `work` returns or raises there; a function of a module, like all that it is given. Raises ReaderAway.

        Only one thing is in the process at a time, so that one which takes too long is given up alone. Arguments that
        are a `pickle.PickleBuffer` go there without being copied here, and arrive as bytes.
        """
        async with self._turn:
            try:
                async with asyncio.timeout(WITHIN.total_seconds()):
                    outcome = await self._started().do(work, arguments)
            except (OSError, EOFError) as error:  # a TimeoutError is an OSError
                self._end()
                raise ReaderAway(error) from error
            except BaseException:
                self._end()  # it has half of something
                raise
            if self._helper is not None and self._helper.begun >= THINGS:
                self._end()
        if isinstance(outcome, _Raised):
            raise outcome.error
        return outcome

    def _started(self) -> "_Helper":
        if self._is_closed:
            raise ReaderAway("the service stops")
        if self._helper is None:
            self._helper = _Helper()
        return self._helper

    def close(self) -> None:
        """End the process, whatever it does, and start no other."""
        self._is_closed = True
        self._end()

    def _end(self) -> None:
        helper, self._helper = self._helper, None
        if helper is not None:
            helper.end()


class _Helper:
    """The process, the line to it, and the thread that waits at this end of the line."""

    def __init__(self) -> None:
        spawn = multiprocessing.get_context("spawn")
        self._line, far_end = spawn.Pipe()
        self._process = spawn.Process(target=_serve, args=(far_end,), daemon=True)
        self._process.start()
        far_end.close()
        # At the end of the interpreter Python would ask it to end, which it ignores, and wait for that.
        Finalize(self, self._process.kill, exitpriority=0)
        self._thread = Threads(1, "bullflow-aside")
        self.begun = 0

    async def do(self, work: Callable[..., T], arguments: tuple[Any, ...]) -> "T | _Raised":
        """Raises OSError, EOFError."""
        self.begun += 1
        return await self._thread.start(lambda: self._exchange(work, arguments)).answer

    def _exchange(self, work: Callable[..., T], arguments: tuple[Any, ...]) -> "T | _Raised":
        _send(self._line, _packed((work, arguments)))
        outcome: T | _Raised = _receive(self._line)
        return outcome

    def end(self) -> None:
        self._process.kill()  # whoever waits at the line hears of it
        self._thread.close()


@dataclass(frozen=True, slots=True)
class _Raised:
    error: Exception


def _packed(what: Any) -> list[bytes | memoryview]:
    """What is large goes by itself: to pickle it would copy it while everybody else waits."""
    buffers: list[pickle.PickleBuffer] = []
    pickled = pickle.dumps(what, pickle.HIGHEST_PROTOCOL, buffer_callback=buffers.append)
    return [str(len(buffers)).encode(), pickled, *(buffer.raw() for buffer in buffers)]


def _send(line: Connection, packed: Iterable[bytes | memoryview]) -> None:
    for part in packed:
        line.send_bytes(part)


def _receive(line: Connection) -> Any:
    count = int(line.recv_bytes())
    pickled, *buffers = (line.recv_bytes() for _ in range(1 + count))
    return pickle.loads(pickled, buffers=buffers)  # noqa: S301 - both ends of the line are ours


def _serve(line: Connection) -> None:
    # Terminals and supervisors send these to all; whoever has started this one ends it.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    os.nice(LESS_URGENT)
    Thread(target=_end_with_parent, daemon=True).start()
    with suppress(OSError, EOFError):  # the other end is gone
        while True:
            work, arguments = _receive(line)
            _send(line, _outcome(work, arguments))


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)


def _outcome(work: Callable[..., Any], arguments: tuple[Any, ...]) -> list[bytes | memoryview]:
    try:
        return _packed(work(*arguments))
    except BullflowError as error:
        return _packed(_Raised(error))
    except Exception as error:
        error.add_note(traceback.format_exc())
        return _packed(_Raised(error))
