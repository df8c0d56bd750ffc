"""Does together what is asked for at the same time.

Whoever asks first is served at once; what others ask while that is under way is served with the next
round. So a lone request waits for nobody, and many need few rounds, without a timer anywhere.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from typing import Generic, TypeVar

Item = TypeVar("Item")
Answer = TypeVar("Answer")


class Together(Generic[Item, Answer]):
    """`serve` gets up to `most` items and returns an answer for each, in order; an exception is raised to its asker."""

    def __init__(
        self, serve: Callable[[Sequence[Item]], Awaitable[Sequence[Answer | Exception]]], *, most: int
    ) -> None:
        self._serve = serve
        self._most = most
        self._waiting: list[tuple[Item, asyncio.Future[Answer]]] = []
        self._serving: asyncio.Task[None] | None = None

    async def ask(self, item: Item) -> Answer:
        """The answer to this item; raises what `serve` raised or returned for it."""
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, answer))
        if self._serving is None:
            self._serving = asyncio.create_task(self._serve_all())
        return await answer

    async def _serve_all(self) -> None:
        try:
            while self._waiting:
                batch, self._waiting = self._waiting[: self._most], self._waiting[self._most :]
                await self._serve_batch(batch)
        finally:
            self._serving = None

    async def _serve_batch(self, batch: Sequence[tuple[Item, asyncio.Future[Answer]]]) -> None:
        try:
            answers: Sequence[Answer | Exception] = await self._serve([item for item, _ in batch])
        except Exception as error:
            answers = [error] * len(batch)
        for (_, future), answer in zip(batch, answers, strict=True):
            if future.done():
                continue  # its asker has gone
            if isinstance(answer, Exception):
                future.set_exception(answer)
            else:
                future.set_result(answer)

    async def settled(self) -> None:
        """Return when nothing is asked any more."""
        while self._serving is not None:
            await asyncio.wait({self._serving})


def in_groups(items: Iterable[Item], size: Callable[[Item], int], most: int) -> Iterator[list[Item]]:
    """Items in their order, together until their sizes add up to `most`; a larger one is a group of its own."""
    group: list[Item] = []
    total = 0
    for item in items:
        if group and total + size(item) > most:
            yield group
            group, total = [], 0
        group.append(item)
        total += size(item)
    if group:
        yield group
