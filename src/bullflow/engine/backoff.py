"""How long to wait before the next attempt, by BullMQ's rules."""

import random
from collections.abc import Mapping
from typing import Any

from bullflow.engine.delivery import Delivery


def pause_before_retry(delivery: Delivery, chance: random.Random | None = None) -> int | None:
    """Milliseconds before the attempt after this one; None when this was the last."""
    made = delivery.attempts_made + 1
    if made >= delivery.attempts:
        return None
    return pause(delivery.opts.get("backoff"), made, chance or random.Random())


def pause(backoff: Any, attempts_made: int, chance: random.Random) -> int:
    """Milliseconds that a `backoff` option asks for after so many attempts; 0 without one.

    With `jitter` j the pause lies between 1 - j and 1 times what it would be, as in BullMQ.
    """
    if isinstance(backoff, int | float):
        return max(0, round(backoff))
    if not isinstance(backoff, Mapping):
        return 0
    delay = float(backoff.get("delay") or 0)
    if backoff.get("type") == "exponential":
        delay *= 2 ** (attempts_made - 1)
    jitter = min(max(float(backoff.get("jitter") or 0), 0), 1)
    return round(delay * (1 - jitter * chance.random()))
