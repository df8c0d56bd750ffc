"""Flows under control: policies, withdrawal, deadlines, log lines, settings of queues."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_POLICIES = {
    "ignore": "ignoreDependencyOnFailure",
    "remove": "removeDependencyOnFailure",
    "continue": "continueParentOnFailure",
}


def upgrade() -> None:
    op.add_column("flows", sa.Column("withdraw_due", sa.Boolean(), server_default=sa.false(), nullable=False))
    op.add_column("flows", sa.Column("time_limit", sa.BigInteger(), nullable=True))
    op.execute("UPDATE flows SET time_limit = deadline - created_at WHERE deadline IS NOT NULL")
    op.create_index(
        "flows_to_withdraw",
        "flows",
        ["id"],
        sqlite_where=sa.text("withdraw_due"),
        postgresql_where=sa.text("withdraw_due"),
    )
    running = sa.text("deadline IS NOT NULL AND finished_at IS NULL")
    op.create_index("flows_by_deadline", "flows", ["deadline"], sqlite_where=running, postgresql_where=running)
    op.add_column("flow_jobs", sa.Column("policy", sa.String(length=8), server_default="fail", nullable=False))
    op.add_column("flow_jobs", sa.Column("worker", sa.String(length=200), nullable=True))
    # Options were written by orjson, so their texts have no spaces. SQLAlchemy takes a bare colon for a parameter.
    for policy, option in _POLICIES.items():
        op.execute(f"UPDATE flow_jobs SET policy = '{policy}' WHERE opts LIKE '%\"{option}\"\\:true%'")  # noqa: S608
    op.execute(
        "UPDATE flow_jobs SET policy = 'wait' "
        "WHERE policy = 'fail' AND parent_id IS NOT NULL AND opts NOT LIKE '%\"failParentOnFailure\"\\:true%'"
    )
    op.create_index("ix_flow_tags_flow_id", "flow_tags", ["flow_id"])
    op.create_table(
        "job_log",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("n", sa.Integer(), nullable=False),
        sa.Column("run", sa.Integer(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("line", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["id"], ["flow_jobs.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", "n"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "queue_settings",
        sa.Column("queue_name", sa.String(length=128), nullable=False),
        sa.Column("paused", sa.Boolean(), nullable=False),
        sa.Column("concurrency", sa.BigInteger(), nullable=True),
        sa.Column("rate_max", sa.BigInteger(), nullable=True),
        sa.Column("rate_duration", sa.BigInteger(), nullable=True),
        sa.Column("due", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("queue_name"),
    )


def downgrade() -> None:
    op.drop_table("queue_settings")
    op.drop_table("job_log")
    op.drop_index("ix_flow_tags_flow_id", "flow_tags")
    op.drop_column("flow_jobs", "worker")
    op.drop_column("flow_jobs", "policy")
    op.drop_index("flows_by_deadline", "flows")
    op.drop_index("flows_to_withdraw", "flows")
    op.drop_column("flows", "time_limit")
    op.drop_column("flows", "withdraw_due")
