"""The tables about who asks: tokens and sessions, what users have used and stored, and who did what."""

from sqlalchemy import BigInteger, ForeignKey, Index, Integer, String
from sqlalchemy.orm import Mapped, mapped_column

from bullflow.store.tables import Base, Id


class ApiToken(Base):
    """What a user shows to be known. The id is the token's public part; of the secret one only a hash is kept."""

    __tablename__ = "api_tokens"

    id: Mapped[str] = mapped_column(String(12), primary_key=True)
    user_id: Mapped[str] = mapped_column(Id, ForeignKey("users.id"), index=True)
    secret_hash: Mapped[str] = mapped_column(String(64))
    scopes: Mapped[str]
    created_at: Mapped[int]
    expires_at: Mapped[int | None]
    last_used_at: Mapped[int | None]
    revoked_at: Mapped[int | None]


class Session(Base):
    """A sign-in to the dashboard: it holds as long as its token does, and not longer than itself."""

    __tablename__ = "sessions"

    id: Mapped[str] = mapped_column(String(12), primary_key=True)
    secret_hash: Mapped[str] = mapped_column(String(64))
    token_id: Mapped[str] = mapped_column(String(12), ForeignKey("api_tokens.id"))
    created_at: Mapped[int]
    expires_at: Mapped[int] = mapped_column(index=True)


class Act(Base):
    """Who did what. Rows are added, and removed when they are old; none is ever changed."""

    __tablename__ = "acts"
    __table_args__ = (Index("acts_by_actor", "actor", "n"),)

    n: Mapped[int] = mapped_column(BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True)
    at: Mapped[int]
    actor: Mapped[str] = mapped_column(String(200))
    token_id: Mapped[str | None] = mapped_column(String(12))
    action: Mapped[str] = mapped_column(String(32))
    target: Mapped[str | None] = mapped_column(String(200))
    data: Mapped[str]


class UserQueue(Base):
    """A queue that flows of a user have used."""

    __tablename__ = "user_queues"

    user_id: Mapped[str] = mapped_column(Id, ForeignKey("users.id"), primary_key=True)
    queue_name: Mapped[str] = mapped_column(String(128), primary_key=True)


class Usage(Base):
    """Bytes that a user's flows have come to have in the store, or to have no more: the sum is what they have.

    Rows are added by everybody and put together by the leader, so that nobody waits for another's row.
    """

    __tablename__ = "usage"
    __table_args__ = (Index("usage_by_user", "user_id", "bytes"),)

    n: Mapped[int] = mapped_column(BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True)
    user_id: Mapped[str] = mapped_column(Id)
    bytes: Mapped[int]
