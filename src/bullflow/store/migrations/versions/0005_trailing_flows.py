"""Flows that have ended while jobs go on are found by an index; rows that change have room for it on their page."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    trailing = sa.text(
        "finished_at IS NOT NULL AND n_waiting + n_waiting_children + n_delayed + n_prioritized + n_active > 0"
    )
    op.create_index("flows_trailing", "flows", ["id"], sqlite_where=trailing, postgresql_where=trailing)
    if op.get_bind().dialect.name == "postgresql":
        # A new version of a row that stays on its page needs no new entries in the indexes.
        # That goes for jobs: of a flow the counts change, which the index above is about.
        op.execute("ALTER TABLE flow_jobs SET (fillfactor = 60)")


def downgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        op.execute("ALTER TABLE flow_jobs RESET (fillfactor)")
    op.drop_index("flows_trailing", "flows")
