"""Running parts side by side until a signal stops them."""

import asyncio
import signal
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any

from bullflow.loop import first_error


def stop_on_signals() -> asyncio.Event:
    """Set at the first SIGTERM or SIGINT; the second one does not wait any longer."""
    stop, main = asyncio.Event(), asyncio.current_task()

    def heard() -> None:
        if stop.is_set() and main is not None:
            main.cancel()
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, heard)
    return stop


@asynccontextmanager
async def running(*parts: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Run these beside the block; they end with it, and if one fails, so does the block."""
    try:
        async with asyncio.TaskGroup() as tasks:
            running = [tasks.create_task(part) for part in parts]
            yield
            for task in running:
                task.cancel()
    except BaseExceptionGroup as group:
        raise first_error(group) from group
