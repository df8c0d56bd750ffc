"""Who is it that asks? Looked up by the public part of what they show, and compared in constant time.

What was looked up is believed for a moment, so that a busy client does not ask the database with each request; that is
also how long a token that was revoked may still open something.
"""

import asyncio
import secrets
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from hashlib import sha256

from bullflow.clock import Clock, milliseconds
from bullflow.errors import StoreAway, Unauthenticated
from bullflow.flow.access import SECRET, SESSION, TOKEN, Caller, Scope
from bullflow.store import acts, tokens, users
from bullflow.store.acts import Done
from bullflow.store.database import Database
from bullflow.store.tokens import Credential, NewSession
from bullflow.store.transaction import Transaction

BELIEVED = timedelta(seconds=2)
USED_AGAIN = timedelta(minutes=1)
"""How exact it is known when a token was used last."""
MOST_KNOWN = 10_000

_ALPHABET = "0123456789abcdefghijklmnopqrstuvwxyz"

ByKey = Callable[[Transaction, str], Awaitable[Credential | None]]


@dataclass(frozen=True, slots=True)
class Secret:
    """A new secret: the part that is kept and shown, and the whole, which is shown once."""

    id: str
    text: str
    hash: str


def new_secret(prefix: str) -> Secret:
    """A secret of 256 bits."""
    key = "".join(secrets.choice(_ALPHABET) for _ in range(12))
    hidden = secrets.token_urlsafe(32)
    return Secret(key, f"{prefix}_{key}_{hidden}", _hash(hidden))


class Access:
    """Tokens and sessions. Without tokens (`stands_for` is the one user there is) everybody may do everything."""

    def __init__(
        self, database: Database, *, clock: Clock, session_length: timedelta, stands_for: Caller | None
    ) -> None:
        self._database = database
        self._clock = clock
        self._session_length = session_length
        self._stands_for = stands_for
        self._known: OrderedDict[str, tuple[Credential, int]] = OrderedDict()
        self._looking: dict[str, asyncio.Task[Credential | None]] = {}

    @property
    def lets_all_in(self) -> bool:
        """Whether nobody needs to show anything."""
        return self._stands_for is not None

    async def caller(self, shown: str | None) -> Caller:
        """Who shows this token, or this session of a browser; raises Unauthenticated, StoreAway."""
        if self._stands_for is not None:
            return self._stands_for
        if shown is None:
            raise Unauthenticated("The request shows no token: send it as `Authorization: Bearer …`.")
        found = SECRET.fullmatch(shown)
        if found is None:
            raise Unauthenticated(f"What the request shows is no token of bullflow; they begin with {TOKEN}_.")
        kind, key, hidden = found.groups()
        known = await self._look(kind, key)
        is_it = secrets.compare_digest(_hash(hidden), known.secret_hash if known else "")
        if known is None or not is_it or not self._opens(known):
            raise Unauthenticated(
                "The request shows no token that opens anything: it was never made, is over, or was revoked, "
                "or its user is shut out."
            )
        await self._note_use(kind + key, known)
        return Caller(
            name=known.user_name,
            user_id=known.user_id,
            scopes=known.scopes,
            queues=known.queues,
            token_id=known.token_id,
        )

    async def still_may(self, shown: str | None) -> bool:
        """Whether what was shown still opens anything; raises StoreAway."""
        try:
            await self.caller(shown)
        except Unauthenticated:
            return False
        return True

    async def another(self, caller: Caller, name: str) -> Caller:
        """This caller, about the flows of the user with this name; raises Forbidden, NotFound."""
        if name == caller.name:
            return caller
        caller.must(Scope.ADMIN)
        account = await self._database.look(users.by_name, name)
        return caller.acting_for(account.name, account.id, account.queues)

    async def sign_in(self, token: str) -> Secret:
        """A session for a browser, which holds as long as the token does; raises Unauthenticated."""
        if not token.startswith(TOKEN):
            raise Unauthenticated(f"This is no token of bullflow; they begin with {TOKEN}_.")
        caller = await self.caller(token)
        assert caller.token_id is not None  # noqa: S101 - where tokens open something, they have ids
        secret, now = new_secret(SESSION), self._clock()
        session = NewSession(
            id=secret.id,
            secret_hash=secret.hash,
            token_id=caller.token_id,
            created_at=now,
            expires_at=now + milliseconds(self._session_length),
        )
        async with self._database.write() as transaction:
            await tokens.open_session(transaction, session)
            acts.note(transaction, [Done(caller=caller, action="session.open", target=None, at=now)])
        return secret

    async def sign_out(self, session: str) -> None:
        """Close a session; what is none is none afterwards as well."""
        found = SECRET.fullmatch(session)
        if found is None or found[1] != SESSION:
            return
        try:
            caller = await self.caller(session)
        except Unauthenticated:
            return
        async with self._database.write() as transaction:
            if await tokens.close_session(transaction, found[2]):
                acts.note(transaction, [Done(caller=caller, action="session.close", target=None, at=self._clock())])
        self._forget(SESSION + found[2])

    def _opens(self, known: Credential) -> bool:
        return known.is_valid and (known.expires_at is None or known.expires_at > self._clock())

    async def _look(self, kind: str, key: str) -> Credential | None:
        now, name = self._clock(), kind + key
        known = self._known.get(name)
        if known is not None and 0 <= now - known[1] < milliseconds(BELIEVED):
            return known[0]
        looking = self._looking.get(name)
        if looking is None:
            looking = self._looking[name] = asyncio.create_task(self._read(kind, key, now))
            looking.add_done_callback(partial(self._has_looked, name))
        # Many who show the same wait for one look; one of them who leaves does not end it for the others.
        await asyncio.wait([looking])
        return looking.result()

    async def _read(self, kind: str, key: str, now: int) -> Credential | None:
        by_key: ByKey = tokens.token if kind == TOKEN else tokens.session
        found = await self._database.look(by_key, key)
        name = kind + key
        if self._looking.get(name) is asyncio.current_task():  # else it was closed meanwhile
            self._known.pop(name, None)
            if found is not None:
                self._known[name] = found, now
                while len(self._known) > MOST_KNOWN:
                    self._known.popitem(last=False)
        return found

    def _has_looked(self, name: str, looking: "asyncio.Task[Credential | None]") -> None:
        if self._looking.get(name) is looking:
            del self._looking[name]
        if not looking.cancelled():
            looking.exception()  # whoever has asked may have left

    def _forget(self, name: str) -> None:
        self._known.pop(name, None)
        self._looking.pop(name, None)

    async def _note_use(self, name: str, known: Credential) -> None:
        now = self._clock()
        # Of many who waited for the same look, the first has noted it.
        known = self._known.get(name, (known, now))[0]
        if known.last_used_at is not None and now - known.last_used_at < milliseconds(USED_AGAIN):
            return
        for other, (credential, looked) in tuple(self._known.items()):
            if credential.token_id == known.token_id:
                self._known[other] = replace(credential, last_used_at=now), looked
        with suppress(StoreAway):  # what is full or locked can still be read
            async with self._database.write() as transaction:
                await tokens.used(transaction, known.token_id, now)


def _hash(secret: str) -> str:
    # What is hashed has 256 bits of chance; a slow hash is for what people choose.
    return sha256(secret.encode()).hexdigest()
