"""How long it took until things went on after a fault, as the watchers noticed it."""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from chaos.clients import Order, Receipt
from chaos.ring import Account
from chaos.saboteur import Strike
from chaos.schedule import LOSES


@dataclass(frozen=True, slots=True, kw_only=True)
class Recovery:
    """Seconds; None where nothing was to go on, or nothing did.

    `standstill` is the longest silence that touches the fault, `after` how long it lasted after the fault's
    end. `lost` is for faults after which the engine has forgotten flows: until the last of those that were
    open went on.
    """

    standstill: float | None
    after: float | None
    lost: float | None


def recoveries(account: Account) -> dict[int, Recovery]:
    """By the numbers of the faults."""
    heard = sorted(receipt.time for order in account.orders for receipt in _receipts(order))
    return {strike.fault.number: _recovery(strike, account.orders, heard) for strike in account.strikes}


def _recovery(strike: Strike, orders: Sequence[Order], heard: Sequence[float]) -> Recovery:
    before, after = bisect_right(heard, strike.began), bisect_right(heard, strike.ended)
    silences = [later - earlier for earlier, later in pairwise(heard[max(0, before - 1) : after + 1])]
    went_on = [wait for order in orders if (wait := _wait(order, strike.ended)) is not None]
    return Recovery(
        standstill=max(silences, default=None),
        after=heard[after] - strike.ended if after < len(heard) else None,
        lost=max(went_on, default=None) if strike.fault.verb in LOSES else None,
    )


def _wait(order: Order, since: float) -> float | None:
    """How long a flow that was open at that time was silent after it."""
    times = [receipt.time for receipt in _receipts(order)]
    place = bisect_right(times, since)
    return times[place] - since if 0 < place < len(times) else None


def _receipts(order: Order) -> Sequence[Receipt]:
    return order.watches[0].receipts if order.watches else ()
