"""How a command runs its coroutine: on uvloop, where there is one."""

import gc
from collections.abc import Coroutine
from typing import Any, TypeVar

from bullflow.settings import Settings
from bullflow.telemetry import configure

try:
    from uvloop import run as _run
except ModuleNotFoundError:  # Windows has no uvloop
    from asyncio import run as _run  # type: ignore[assignment]

Value = TypeVar("Value")


def run(work: Coroutine[Any, Any, Value]) -> Value:
    return _run(work)


def run_for_long(settings: Settings, work: Coroutine[Any, Any, Value]) -> Value:
    """Run a part of the service, with its log lines set up first."""
    configure(settings.log_level, settings.log_format)
    # What has been imported stays; each full look for garbage would take a tenth of a second to go through it again.
    gc.collect()
    gc.freeze()
    return _run(work)
