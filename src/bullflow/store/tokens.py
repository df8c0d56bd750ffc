"""API tokens, and the sessions of browsers that were opened with one.

Both are two texts: one by which the row is found, and a secret of which a hash is kept. What is found is compared by
whoever asked, in constant time; no secret is ever looked for.
"""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import delete, insert, or_, select, update

from bullflow.errors import NotFound
from bullflow.flow.access import Scope
from bullflow.store.account_tables import ApiToken, Session
from bullflow.store.tables import User
from bullflow.store.transaction import Transaction
from bullflow.store.users import patterns


@dataclass(frozen=True, slots=True, kw_only=True)
class NewToken:
    """A token that is about to be kept."""

    id: str
    user_id: str
    secret_hash: str
    scopes: frozenset[Scope]
    created_at: int
    expires_at: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class NewSession:
    """A session that is about to be kept."""

    id: str
    secret_hash: str
    token_id: str
    created_at: int
    expires_at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Credential:
    """What is kept of a token, or of a session and its token, with its user.

    `is_valid`: the token was not revoked, and the user is not disabled.
    """

    token_id: str
    secret_hash: str
    user_id: str
    user_name: str
    queues: tuple[str, ...]
    scopes: frozenset[Scope]
    expires_at: int | None
    last_used_at: int | None
    is_valid: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenView:
    """A token as it is listed, without its secret."""

    id: str
    user_name: str
    scopes: frozenset[Scope]
    created_at: int
    expires_at: int | None
    last_used_at: int | None
    revoked_at: int | None


async def create(connection: Transaction, token: NewToken) -> None:
    row = {
        "id": token.id,
        "user_id": token.user_id,
        "secret_hash": token.secret_hash,
        "scopes": " ".join(sorted(token.scopes)),
        "created_at": token.created_at,
        "expires_at": token.expires_at,
    }
    await connection.execute(insert(ApiToken), [row])


async def listed(connection: Transaction, user_name: str | None) -> list[TokenView]:
    """The tokens of this user, or of all, the newest first."""
    query = select(*_LISTED).join(User, User.id == ApiToken.user_id)
    if user_name is not None:
        query = query.where(User.name == user_name)
    rows = await connection.execute(query.order_by(ApiToken.created_at.desc(), ApiToken.id))
    return [TokenView(**{**row._mapping, "scopes": _scopes(row.scopes)}) for row in rows]


async def revoke(connection: Transaction, token_id: str, now: int) -> None:
    """The token opens nothing any more; raises NotFound."""
    unless_it_was = update(ApiToken).where(ApiToken.id == token_id, ApiToken.revoked_at.is_(None))
    await connection.execute(unless_it_was.values(revoked_at=now))
    if await connection.scalar(select(ApiToken.id).where(ApiToken.id == token_id)) is None:
        raise NotFound("token", token_id)


async def token(connection: Transaction, token_id: str) -> Credential | None:
    """What is kept of this token; None when there is none."""
    rows = await connection.execute(
        select(*_CREDENTIAL, ApiToken.secret_hash, ApiToken.expires_at)
        .join(User, User.id == ApiToken.user_id)
        .where(ApiToken.id == token_id)
    )
    return _credential(rows.one_or_none())


async def any_opens(connection: Transaction, now: int) -> bool:
    """Whether there is a token at all that lets somebody in."""
    good = select(ApiToken.id).join(User, User.id == ApiToken.user_id)
    good = good.where(ApiToken.revoked_at.is_(None), User.disabled_at.is_(None))
    good = good.where(or_(ApiToken.expires_at.is_(None), ApiToken.expires_at > now))
    return await connection.scalar(good.limit(1)) is not None


async def session(connection: Transaction, session_id: str) -> Credential | None:
    """What is kept of this session; None when there is none."""
    rows = await connection.execute(
        select(*_CREDENTIAL, Session.secret_hash, Session.expires_at, ApiToken.expires_at.label("token_expires_at"))
        .join_from(Session, ApiToken, ApiToken.id == Session.token_id)
        .join(User, User.id == ApiToken.user_id)
        .where(Session.id == session_id)
    )
    return _credential(rows.one_or_none())


async def open_session(connection: Transaction, new: NewSession) -> None:
    row = {name: getattr(new, name) for name in NewSession.__dataclass_fields__}
    await connection.execute(insert(Session), [row])


async def close_session(connection: Transaction, session_id: str) -> bool:
    """Whether there was one."""
    return bool((await connection.execute(delete(Session).where(Session.id == session_id))).rowcount)


async def forget_sessions(connection: Transaction, before: int) -> int:
    """Remove those that were over at that instant; returns how many."""
    return (await connection.execute(delete(Session).where(Session.expires_at < before))).rowcount


async def used(connection: Transaction, token_id: str, now: int) -> None:
    await connection.execute(update(ApiToken).where(ApiToken.id == token_id).values(last_used_at=now))


_LISTED = (
    ApiToken.id,
    User.name.label("user_name"),
    ApiToken.scopes,
    ApiToken.created_at,
    ApiToken.expires_at,
    ApiToken.last_used_at,
    ApiToken.revoked_at,
)
_CREDENTIAL = (
    ApiToken.id.label("token_id"),
    ApiToken.user_id,
    User.name.label("user_name"),
    User.queues,
    ApiToken.scopes,
    ApiToken.last_used_at,
    ApiToken.revoked_at,
    User.disabled_at,
)


def _credential(row: Any) -> Credential | None:
    if row is None:
        return None
    ends = (row.expires_at, getattr(row, "token_expires_at", None))
    return Credential(
        token_id=row.token_id,
        secret_hash=row.secret_hash,
        user_id=row.user_id,
        user_name=row.user_name,
        queues=patterns(row.queues),
        scopes=_scopes(row.scopes),
        expires_at=min((end for end in ends if end is not None), default=None),
        last_used_at=row.last_used_at,
        is_valid=row.revoked_at is None and row.disabled_at is None,
    )


def _scopes(text: str) -> frozenset[Scope]:
    return frozenset(map(Scope, text.split()))
