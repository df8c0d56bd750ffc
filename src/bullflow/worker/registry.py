"""Which function handles which job name."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from inspect import iscoroutinefunction
from typing import Any

from bullflow.errors import Misconfigured, UnknownJobName
from bullflow.worker.job import Job

Handler = Callable[[Job], Awaitable[Any]] | Callable[[Job], Any]


@dataclass(frozen=True, kw_only=True)
class Task:
    """A handler, how long one attempt of it may take, and whether it wants all that is below its job."""

    name: str
    handler: Handler
    timeout: timedelta | None
    descendants: bool = False

    @cached_property
    def is_async(self) -> bool:
        return iscoroutinefunction(self.handler) or iscoroutinefunction(type(self.handler).__call__)


class Registry:
    """The handlers of one worker."""

    def __init__(self) -> None:
        self._tasks: dict[str, Task] = {}

    def add(self, task: Task) -> None:
        """Raises Misconfigured when the name is taken."""
        if task.name in self._tasks:
            raise Misconfigured(f"there are two handlers for the job name {task.name!r}")
        self._tasks[task.name] = task

    def find(self, name: str) -> Task:
        """Raises UnknownJobName."""
        try:
            return self._tasks[name]
        except KeyError:
            raise UnknownJobName(name) from None

    @property
    def names(self) -> list[str]:
        return sorted(self._tasks)
