"""How long to wait before the next attempt, by BullMQ's rules."""

import random
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from bullflow.engine.delivery import Delivery

LONGEST = timedelta(days=365)
"""Beyond some years BullMQ's scores of delayed jobs lose their precision."""
_LONGEST_MS = LONGEST.total_seconds() * 1000
_MOST_DOUBLINGS = 64


def pause_before_retry(delivery: Delivery, chance: random.Random | None = None) -> int | None:
    """Milliseconds before the attempt after this one; None when this was the last."""
    made = delivery.attempts_made + 1
    if made >= delivery.attempts:
        return None
    return pause(delivery.opts.get("backoff"), made, chance or random.Random())


def pause(backoff: Any, attempts_made: int, chance: random.Random) -> int:
    """Milliseconds that a `backoff` option asks for after so many attempts; 0 without one.

    With `jitter` j the pause lies between 1 - j and 1 times what it would be, as in BullMQ. What
    makes no sense counts as 0: other producers may write anything, and the job must still end.
    """
    if not isinstance(backoff, Mapping):
        return round(_number(backoff, at_most=_LONGEST_MS))
    delay = _number(backoff.get("delay"), at_most=_LONGEST_MS)
    if backoff.get("type") == "exponential":
        delay = min(delay * 2 ** min(attempts_made - 1, _MOST_DOUBLINGS), _LONGEST_MS)
    jitter = _number(backoff.get("jitter"), at_most=1)
    return round(delay * (1 - jitter * chance.random()))


def _number(value: Any, *, at_most: float) -> float:
    """A number from 0 to `at_most`; 0 for what is none."""
    return max(0.0, min(value, at_most)) if isinstance(value, int | float) and value == value else 0.0
