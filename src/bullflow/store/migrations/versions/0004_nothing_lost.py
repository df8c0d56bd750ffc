"""Nothing is lost: unfinished flows and ended ones are found by an index, and the engine's mark is remembered."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    unfinished, ended = sa.text("finished_at IS NULL"), sa.text("finished_at IS NOT NULL")
    op.create_index("flows_unfinished", "flows", ["id"], sqlite_where=unfinished, postgresql_where=unfinished)
    op.create_index("flows_by_end", "flows", ["finished_at"], sqlite_where=ended, postgresql_where=ended)
    op.create_table(
        "engine_marks",
        sa.Column("prefix", sa.String(length=64), nullable=False),
        sa.Column("mark", sa.BigInteger(), nullable=False),
        sa.Column("server", sa.String(length=64), nullable=True),
        sa.PrimaryKeyConstraint("prefix"),
    )


def downgrade() -> None:
    op.drop_table("engine_marks")
    op.drop_index("flows_by_end", "flows")
    op.drop_index("flows_unfinished", "flows")
