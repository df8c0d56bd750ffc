"""The first tables."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "leases",
        sa.Column("name", sa.String(length=32), nullable=False),
        sa.Column("holder", sa.String(length=64), nullable=False),
        sa.Column("token", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_table(
        "stream_positions",
        sa.Column("queue_name", sa.String(length=128), nullable=False),
        sa.Column("position", sa.String(length=40), nullable=False),
        sa.PrimaryKeyConstraint("queue_name"),
    )
    op.create_table(
        "users",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("name"),
    )
    op.create_table(
        "flows",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("user_id", sa.String(length=36), nullable=False),
        sa.Column("root_id", sa.String(length=36), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("queue_name", sa.String(length=128), nullable=False),
        sa.Column("status", sa.String(length=16), server_default="waiting", nullable=False),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("last_seq", sa.Integer(), nullable=False),
        sa.Column("dispatch_due", sa.Boolean(), nullable=False),
        sa.Column("fail_fast", sa.Boolean(), nullable=False),
        sa.Column("deadline", sa.BigInteger(), nullable=True),
        sa.Column("tags", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.Column("finished_at", sa.BigInteger(), nullable=True),
        sa.Column("n_waiting", sa.Integer(), nullable=False),
        sa.Column("n_waiting_children", sa.Integer(), nullable=False),
        sa.Column("n_delayed", sa.Integer(), nullable=False),
        sa.Column("n_prioritized", sa.Integer(), nullable=False),
        sa.Column("n_active", sa.Integer(), nullable=False),
        sa.Column("n_completed", sa.Integer(), nullable=False),
        sa.Column("n_failed", sa.Integer(), nullable=False),
        sa.Column("n_cancelled", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["user_id"],
            ["users.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("flows_by_name", "flows", ["user_id", "name", "id"], unique=False)
    op.create_index("flows_by_queue", "flows", ["user_id", "queue_name", "id"], unique=False)
    op.create_index("flows_by_status", "flows", ["user_id", "status", "id"], unique=False)
    op.create_index("flows_by_user", "flows", ["user_id", "id"], unique=False)
    op.create_index(
        "flows_to_dispatch",
        "flows",
        ["id"],
        unique=False,
        sqlite_where=sa.text("dispatch_due"),
        postgresql_where=sa.text("dispatch_due"),
    )
    op.create_table(
        "flow_jobs",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("job_id", sa.String(length=48), nullable=False),
        sa.Column("flow_id", sa.String(length=36), nullable=False),
        sa.Column("parent_id", sa.String(length=36), nullable=True),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("depth", sa.Integer(), nullable=False),
        sa.Column("run", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("queue_name", sa.String(length=128), nullable=False),
        sa.Column("data", sa.Text(), nullable=False),
        sa.Column("opts", sa.Text(), nullable=False),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column("status", sa.String(length=16), server_default="waiting", nullable=False),
        sa.Column("result", sa.Text(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("progress", sa.Text(), nullable=True),
        sa.Column("attempts_made", sa.Integer(), nullable=False),
        sa.Column("last_fact", sa.String(length=40), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.Column("started_at", sa.BigInteger(), nullable=True),
        sa.Column("finished_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["flow_id"], ["flows.id"], ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["parent_id"], ["flow_jobs.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("job_id"),
    )
    op.create_index("flow_jobs_by_parent", "flow_jobs", ["parent_id", "position"], unique=False)
    op.create_index("flow_jobs_in_tree_order", "flow_jobs", ["flow_id", "position"], unique=True)
    op.create_table(
        "flow_log",
        sa.Column("flow_id", sa.String(length=36), nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("event", sa.String(length=32), nullable=False),
        sa.Column("id", sa.String(length=36), nullable=True),
        sa.Column("job_id", sa.String(length=48), nullable=True),
        sa.Column("data", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["flow_id"], ["flows.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("flow_id", "seq"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "flow_tags",
        sa.Column("tag", sa.String(length=64), nullable=False),
        sa.Column("flow_id", sa.String(length=36), nullable=False),
        sa.ForeignKeyConstraint(["flow_id"], ["flows.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("tag", "flow_id"),
    )


def downgrade() -> None:
    op.drop_table("flow_tags")
    op.drop_table("flow_log")
    op.drop_index("flow_jobs_in_tree_order", table_name="flow_jobs")
    op.drop_index("flow_jobs_by_parent", table_name="flow_jobs")
    op.drop_table("flow_jobs")
    op.drop_index(
        "flows_to_dispatch",
        table_name="flows",
        sqlite_where=sa.text("dispatch_due"),
        postgresql_where=sa.text("dispatch_due"),
    )
    op.drop_index("flows_by_user", table_name="flows")
    op.drop_index("flows_by_status", table_name="flows")
    op.drop_index("flows_by_queue", table_name="flows")
    op.drop_index("flows_by_name", table_name="flows")
    op.drop_table("flows")
    op.drop_table("users")
    op.drop_table("stream_positions")
    op.drop_table("leases")
