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
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from multiprocessing.connection import Connection
from typing import Any, TypeVar

from bullflow.errors import BullflowError, ReaderAway

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
                    outcome = await asyncio.to_thread(self._started().do, work, arguments)
            except (OSError, EOFError) as error:  # a TimeoutError is an OSError
                self._end()
                raise ReaderAway(error) from error
            except BaseException:
                self._end()  # it has half of something
                raise
            if self._helper is not None and self._helper.done >= THINGS:
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
            helper.process.kill()


class _Helper:
    """The process and the line to it. When one end of the line is gone, the other one hears so."""

    def __init__(self) -> None:
        spawn = multiprocessing.get_context("spawn")
        self._line, far_end = spawn.Pipe()
        self.done = 0
        self.process = spawn.Process(target=_serve, args=(far_end,), daemon=True)
        self.process.start()
        far_end.close()

    def do(self, work: Callable[..., T], arguments: tuple[Any, ...]) -> "T | _Raised":
        """In a thread; raises OSError, EOFError."""
        _send(self._line, (work, arguments))
        self.done += 1
        outcome: T | _Raised = _receive(self._line)
        return outcome


@dataclass(frozen=True, slots=True)
class _Raised:
    error: Exception


def _send(line: Connection, what: Any) -> None:
    """What is large goes by itself: to pickle it would copy it while everybody else waits."""
    buffers: list[pickle.PickleBuffer] = []
    line.send_bytes(pickle.dumps(what, pickle.HIGHEST_PROTOCOL, buffer_callback=buffers.append))
    line.send_bytes(str(len(buffers)).encode())
    for buffer in buffers:
        line.send_bytes(buffer.raw())


def _receive(line: Connection) -> Any:
    pickled = line.recv_bytes()
    buffers = [line.recv_bytes() for _ in range(int(line.recv_bytes()))]
    return pickle.loads(pickled, buffers=buffers)  # noqa: S301 - both ends of the line are ours


def _serve(line: Connection) -> None:
    # Terminals and supervisors send these to all; whoever has started this one ends it.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    os.nice(LESS_URGENT)
    with suppress(OSError, EOFError):  # the other end is gone
        while True:
            work, arguments = _receive(line)
            _send(line, _outcome(work, arguments))


def _outcome(work: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
    try:
        return work(*arguments)
    except BullflowError as error:
        return _Raised(error)
    except Exception as error:
        error.add_note(traceback.format_exc())
        return _Raised(error)
