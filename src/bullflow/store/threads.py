"""The threads in which statements run, and whatever else waits for something outside.

A pool of the standard library pairs each piece of work with two futures, a lock and a list of callbacks that
tell one of the other, which costs more than most statements. Here the thread itself tells the event loop.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from queue import SimpleQueue
from threading import Thread
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class Work(Generic[T]):
    """Something that a thread does. `answer` is what it gave or raised; who waits for it may leave at any time."""

    def __init__(self, do: Callable[[], T]) -> None:
        self._do = do
        self._loop = asyncio.get_running_loop()
        self._over: asyncio.Future[None] | None = None
        self._is_over = False
        self.answer: asyncio.Future[T] = self._loop.create_future()

    async def over(self) -> None:
        """Return when the thread has let go of it, however often whoever waits for that is cancelled."""
        while not self._is_over:
            self._over = self._loop.create_future()
            with suppress(asyncio.CancelledError):
                await self._over

    def run(self) -> None:
        """In the thread."""
        try:
            tell = partial(self._settle, self._do())
        except StopIteration as error:
            # A future takes any error but this.
            tell = partial(self._fail, RuntimeError(f"a statement has raised {error!r}"))
        except BaseException as error:  # whoever waits decides, whatever it is
            tell = partial(self._fail, error)
        with suppress(RuntimeError):  # the loop has been closed meanwhile
            self._loop.call_soon_threadsafe(tell)
        del tell  # the traceback of an error holds this frame, which must not hold the error

    def _settle(self, result: T) -> None:
        if not self.answer.done():
            self.answer.set_result(result)
        self._end()

    def _fail(self, error: BaseException) -> None:
        if not self.answer.done():
            self.answer.set_exception(error)
        self._end()

    def _end(self) -> None:
        self._is_over = True
        if self._over is not None and not self._over.done():
            self._over.set_result(None)


class Threads:
    """So many, begun one with each piece of work until all are there.

    They are daemons: a statement that does not end must not keep the process from ending.
    """

    def __init__(self, most: int, name: str) -> None:
        self._most = most
        self._name = name
        self._begun = 0
        self._is_closed = False
        self._waiting: SimpleQueue[Work[Any] | None] = SimpleQueue()

    def start(self, do: Callable[[], T]) -> Work[T]:
        """Have a thread do this, after what was started before; raises RuntimeError when they were closed."""
        if self._is_closed:
            raise RuntimeError("the store is closed")
        work = Work(do)
        self._waiting.put(work)
        if self._begun < self._most:
            self._begun += 1
            Thread(target=self._serve, name=f"{self._name}-{self._begun}", daemon=True).start()
        return work

    def _serve(self) -> None:
        while (work := self._waiting.get()) is not None:
            work.run()
            del work  # what it holds must not be kept until the next one comes

    def close(self) -> None:
        """Let the threads end when what was started is done."""
        self._is_closed = True
        for _ in range(self._begun):
            self._waiting.put(None)
