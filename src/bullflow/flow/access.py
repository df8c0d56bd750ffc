"""Who asks, what they may do, and which queues they may use."""

import re
from dataclasses import dataclass, replace
from enum import StrEnum
from fnmatch import fnmatchcase

from bullflow.errors import Forbidden

TOKEN, SESSION = "bf", "bs"
SECRET = re.compile(r"(bf|bs)_([0-9a-z]{12})_([0-9A-Za-z_\-]{43})")
"""A token of the API (bf) or a session of a browser (bs): its kind, by which part it is looked up, and the secret."""


class Scope(StrEnum):
    """What a token is good for."""

    READ = "read"
    WRITE = "write"
    ADMIN = "admin"
    """Also queues, other users' flows, and the audit."""
    PAYLOADS = "payloads"
    """Also what `redact` hides."""


EVERYTHING = frozenset(Scope)
USUAL = frozenset({Scope.READ, Scope.WRITE, Scope.PAYLOADS})


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Somebody who asks. `user_id` is whose flows are meant: the caller's own, unless an admin names another user."""

    name: str
    user_id: str
    scopes: frozenset[Scope] = EVERYTHING
    queues: tuple[str, ...] = ()
    """Patterns of the names of queues that the user may use, `*` for any text; all when there are none."""
    token_id: str | None = None
    acts_for: str | None = None
    """The other user whom an admin has named."""

    def may(self, scope: Scope) -> bool:
        return scope in self.scopes or (Scope.ADMIN in self.scopes and scope is not Scope.PAYLOADS)

    def must(self, scope: Scope) -> None:
        """Raises Forbidden."""
        if not self.may(scope):
            raise Forbidden(f"This token has not the scope '{scope}', only {', '.join(sorted(self.scopes))}.")

    def acting_for(self, name: str, user_id: str, queues: tuple[str, ...]) -> "Caller":
        """The same caller, about the flows of another user, which may name that user's queues."""
        return replace(self, user_id=user_id, queues=queues, acts_for=name)


def allows(patterns: tuple[str, ...], queue_name: str) -> bool:
    """Whether a queue is among those that somebody may use; without patterns all are."""
    return not patterns or any(fnmatchcase(queue_name, pattern) for pattern in patterns)
