"""Lists in pages. A cursor with a right checksum can still be made up, so its place is checked as well."""

from typing import Annotated

from fastapi import Query

from bullflow.errors import Fault, Invalid
from bullflow.flow.states import JobStatus
from bullflow.http.ids import is_possible
from bullflow.store import cursors
from bullflow.wire import is_queue_name

LARGEST_PLACE = 2**31 - 1
NO_NUL = r"^[^\x00]*$"  # Postgres has no such texts and would take it for a fault of ours

Limit = Annotated[int, Query(ge=1, le=500, description="Items on a page.")]
Cursor = Annotated[str | None, Query(max_length=500, description="`next` of the page before.")]


def after_number(listing: str, cursor: str | None, first: int) -> int:
    """The number behind which a page begins; raises Invalid."""
    if cursor is None:
        return first
    place = cursors.decode(listing, cursor)
    if not (place.isascii() and place.isdigit() and int(place) <= LARGEST_PLACE):
        raise _made_up()
    return int(place)


def after_id(listing: str, cursor: str | None) -> str | None:
    """The id behind which a page begins; raises Invalid."""
    if cursor is None:
        return None
    place = cursors.decode(listing, cursor)
    if not is_possible(place):
        raise _made_up()
    return place


def jobs_list(flow_id: str, status: JobStatus | None) -> str:
    """What a list of a flow's jobs is called in its cursors."""
    return f"jobs:{flow_id}:{status or ''}"


def after_queue(listing: str, cursor: str | None) -> str | None:
    """The queue behind which a page begins; raises Invalid."""
    if cursor is None:
        return None
    place = cursors.decode(listing, cursor)
    if not is_queue_name(place):
        raise _made_up()
    return place


def _made_up() -> Invalid:
    return Invalid([Fault("?cursor", "is not a cursor of this list; take it from `next` as it is")])
