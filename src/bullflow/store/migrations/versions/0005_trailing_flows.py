"""Flows that have ended while jobs of them go on are found by an index."""

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


def downgrade() -> None:
    op.drop_index("flows_trailing", "flows")
