"""Cursors: an opaque text that says where the next page begins.

A cursor names the list that it was made for and carries a checksum, so that one that was cut,
changed or used for another list is refused with a clear error instead of giving a strange page.
It holds a place and no rights: every query is bound to its user whatever the cursor says.
"""

import base64
import hashlib

from bullflow.errors import Fault, Invalid


def encode(listing: str, place: str) -> str:
    body = f"{_sum(listing, place)}{place}".encode()
    return base64.urlsafe_b64encode(body).decode().rstrip("=")


def decode(listing: str, cursor: str) -> str:
    """The place that `encode` was given; raises Invalid."""
    try:
        body = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True).decode()
    except ValueError:
        raise _refused() from None
    place = body[8:]
    # The whole text is compared, because base64 has bits at its end that do not count.
    if encode(listing, place) != cursor:
        raise _refused()
    return place


def _sum(listing: str, place: str) -> str:
    return hashlib.sha256(f"{listing}\0{place}".encode()).hexdigest()[:8]


def _refused() -> Invalid:
    return Invalid([Fault("?cursor", "is not a cursor of this list; take it from `next` as it is")])
