"""Users and their tokens, as operators make and end them."""

import re
from collections.abc import Callable, Sequence
from datetime import timedelta

from bullflow.clock import Clock, milliseconds
from bullflow.errors import Fault, Invalid
from bullflow.flow.access import TOKEN, Caller, Scope
from bullflow.service.access import Secret, new_secret
from bullflow.store import acts, tokens, users
from bullflow.store.acts import Done
from bullflow.store.database import Database
from bullflow.store.tokens import NewToken, TokenView
from bullflow.store.users import Account

OPERATOR = Caller(name="operator", user_id="")
"""Whoever has the database in hand."""
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@\-]{0,99}")
MOST_PATTERNS = 100


class Accounts:
    """The use cases."""

    def __init__(self, database: Database, *, clock: Clock, new_id: Callable[[], str]) -> None:
        self._database = database
        self._clock = clock
        self._new_id = new_id

    async def create_user(self, name: str, queues: Sequence[str] = ()) -> Account:
        """Make a user, who may use the queues of these patterns, or all; raises Invalid, Conflict, StoreAway."""
        check_user(name, queues)
        account = Account(
            id=self._new_id(), name=name, queues=tuple(queues), created_at=self._clock(), disabled_at=None
        )
        async with self._database.write() as transaction:
            await users.create(transaction, account)
            acts.note(transaction, [self._done("user.create", name, queues=list(queues))])
        return account

    async def set_disabled(self, name: str, disabled: bool) -> None:
        """Shut a user out, whatever tokens there are, or let it in again; what runs goes on. Raises NotFound."""
        async with self._database.write() as transaction:
            await users.set_disabled(transaction, name, self._clock() if disabled else None)
            acts.note(transaction, [self._done("user.disable" if disabled else "user.enable", name)])

    async def users(self) -> list[Account]:
        return await self._database.look(users.everybody)

    async def create_token(self, user: str, scopes: frozenset[Scope], lasts: timedelta | None) -> Secret:
        """A new token of this user, which is told this once; raises NotFound."""
        secret, now = new_secret(TOKEN), self._clock()
        async with self._database.write() as transaction:
            owner = await users.by_name(transaction, user)
            token = NewToken(
                id=secret.id,
                user_id=owner.id,
                secret_hash=secret.hash,
                scopes=scopes,
                created_at=now,
                expires_at=None if lasts is None else now + milliseconds(lasts),
            )
            await tokens.create(transaction, token)
            acts.note(transaction, [self._done("token.create", secret.id, user=user, scopes=sorted(scopes))])
        return secret

    async def tokens(self, user: str | None = None) -> list[TokenView]:
        """The tokens of a user, or of all; raises NotFound."""
        async with self._database.read() as snapshot:
            if user is not None:
                await users.by_name(snapshot, user)
            return await tokens.listed(snapshot, user)

    async def revoke(self, token_id: str) -> None:
        """From now on, or within seconds, this token opens nothing; raises NotFound."""
        async with self._database.write() as transaction:
            await tokens.revoke(transaction, token_id, self._clock())
            acts.note(transaction, [self._done("token.revoke", token_id)])

    def _done(self, action: str, target: str, **data: object) -> Done:
        return Done(caller=OPERATOR, action=action, target=target, at=self._clock(), data=data)


def check_user(name: str, queues: Sequence[str]) -> None:
    """Whether a user may be called so and have these patterns; raises Invalid."""
    faults = []
    if NAME.fullmatch(name) is None:
        faults.append(Fault("name", "must be 1 to 100 letters, digits and . _ @ -, and begin with a letter or digit"))
    if len(queues) > MOST_PATTERNS:
        faults.append(Fault("queues", f"may be {MOST_PATTERNS} patterns"))
    faults += [
        Fault("queues", f"{pattern!r} is no pattern of a queue's name, like 'video-*'")
        for pattern in queues
        if not 0 < len(pattern) <= 128 or any(letter in ":{}" or ord(letter) < 32 for letter in pattern)
    ]
    if faults:
        raise Invalid(faults)
