"""Accounts: tokens and sessions of users, their queues and what they have stored, and who did what."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_UNFINISHED = sa.text("finished_at IS NULL")


def upgrade() -> None:
    op.add_column("users", sa.Column("queues", sa.Text(), nullable=False, server_default="[]"))
    op.add_column("users", sa.Column("disabled_at", sa.BigInteger(), nullable=True))
    op.add_column("flows", sa.Column("stored_bytes", sa.BigInteger(), nullable=False, server_default="0"))
    op.create_index(
        "flows_running_by_user", "flows", ["user_id"], sqlite_where=_UNFINISHED, postgresql_where=_UNFINISHED
    )
    _tokens()
    _books()
    # Before there were accounts all queues were of the one user there was. (No name of a user's queue has a colon.)
    op.execute(
        "INSERT INTO user_queues (user_id, queue_name) SELECT users.id, stream_positions.queue_name "
        "FROM users CROSS JOIN stream_positions WHERE users.name = 'local' AND queue_name NOT LIKE '%:%'"
    )


def _tokens() -> None:
    op.create_table(
        "api_tokens",
        sa.Column("id", sa.String(length=12), nullable=False),
        sa.Column("user_id", sa.String(length=36), nullable=False),
        sa.Column("secret_hash", sa.String(length=64), nullable=False),
        sa.Column("scopes", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=True),
        sa.Column("last_used_at", sa.BigInteger(), nullable=True),
        sa.Column("revoked_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"]),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_api_tokens_user_id", "api_tokens", ["user_id"])
    op.create_table(
        "sessions",
        sa.Column("id", sa.String(length=12), nullable=False),
        sa.Column("secret_hash", sa.String(length=64), nullable=False),
        sa.Column("token_id", sa.String(length=12), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["token_id"], ["api_tokens.id"]),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_sessions_expires_at", "sessions", ["expires_at"])


def _books() -> None:
    op.create_table(
        "acts",
        sa.Column("n", _NUMBER, autoincrement=True, nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("actor", sa.String(length=200), nullable=False),
        sa.Column("token_id", sa.String(length=12), nullable=True),
        sa.Column("action", sa.String(length=32), nullable=False),
        sa.Column("target", sa.String(length=200), nullable=True),
        sa.Column("data", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("n"),
    )
    op.create_index("acts_by_actor", "acts", ["actor", "n"])
    op.create_table(
        "user_queues",
        sa.Column("user_id", sa.String(length=36), nullable=False),
        sa.Column("queue_name", sa.String(length=128), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"]),
        sa.PrimaryKeyConstraint("user_id", "queue_name"),
    )
    op.create_table(
        "usage",
        sa.Column("n", _NUMBER, autoincrement=True, nullable=False),
        sa.Column("user_id", sa.String(length=36), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("n"),
    )
    op.create_index("usage_by_user", "usage", ["user_id", "bytes"])


def downgrade() -> None:
    for table in ("usage", "user_queues", "acts", "sessions", "api_tokens"):
        op.drop_table(table)
    op.drop_index("flows_running_by_user", "flows")
    with op.batch_alter_table("flows") as flows:
        flows.drop_column("stored_bytes")
    with op.batch_alter_table("users") as users:
        users.drop_column("disabled_at")
        users.drop_column("queues")
