"""What the service shows of who asks, and of who did what."""

from typing import Any, Literal

from pydantic import Field

from bullflow.flow.access import Scope
from bullflow.wire.shown import Out


class Me(Out):
    """Who asks."""

    name: str
    user_id: str
    auth: Literal["local", "token", "none"] = Field(description="How this service knows who asks.")
    scopes: list[Scope]
    queues: list[str] = Field(description="Patterns of the queues that may be used; all when there are none.")
    token_id: str | None = None


class Act(Out):
    """Something that somebody did."""

    n: int
    at: str
    actor: str
    token_id: str | None = None
    action: str
    target: str | None = Field(None, description="The id, or the name, of what it was done to.")
    data: dict[str, Any]


class ActPage(Out):
    items: list[Act]
    next: str | None = None
