"""The time, asked for in one place so that tests can bring their own.

Instants are milliseconds since 1970-01-01T00:00:00Z, as integers: what BullMQ writes, what both
databases keep exactly, and what the API shows as ISO 8601.
"""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import lru_cache

Clock = Callable[[], int]


def now_ms() -> int:
    """The present instant in milliseconds since the epoch."""
    return time.time_ns() // 1_000_000


def milliseconds(duration: timedelta) -> int:
    return round(duration.total_seconds() * 1000)


def iso(instant: int) -> str:
    """An instant as the API writes it, for example `2026-11-23T17:24:18.042Z`."""
    return f"{_second(instant // 1000)}.{instant % 1000:03d}Z"


@lru_cache(maxsize=4096)
def _second(second: int) -> str:
    """Kept for a while: what is shown together has happened within a few seconds, and a calendar takes its time."""
    return f"{datetime.fromtimestamp(second, UTC):%Y-%m-%dT%H:%M:%S}"


def iso_or_none(instant: int | None) -> str | None:
    return None if instant is None else iso(instant)


def instant(text: str) -> int:
    """The instant that an ISO 8601 text names; raises ValueError when it names none.

    A text without a time zone is read as UTC.
    """
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return round(moment.timestamp() * 1000)
