"""What a child has left for its parent."""

from dataclasses import dataclass

from bullflow.flow.facts import Json


@dataclass(frozen=True, slots=True, kw_only=True)
class Left:
    """One child with its value, or with the reason of a failure that its parent ignores."""

    name: str
    queue_name: str
    job_id: str
    value: Json | None
    failure: str | None
