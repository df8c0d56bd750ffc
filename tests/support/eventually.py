"""Waiting for a fact that no event announces: asked for often, for a bounded time, with a clear end."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")


async def eventually(fact: Callable[[], Awaitable[T | None]], *, within: float = 20) -> T:
    """The first true value of `fact`; AssertionError with its last value when the time is over."""
    value: T | None = None
    deadline = asyncio.get_running_loop().time() + within
    while asyncio.get_running_loop().time() < deadline:
        value = await fact()
        if value:
            return value
        await asyncio.sleep(0.02)
    raise AssertionError(f"not within {within} s; last value: {value!r}")
