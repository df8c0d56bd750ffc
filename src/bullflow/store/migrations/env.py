"""Alembic's door: runs the migrations on the connection that `schema` hands over."""

from alembic import context

from bullflow.store import account_tables  # noqa: F401 - its tables are in the metadata once it is imported
from bullflow.store.tables import Base

connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=Base.metadata, render_as_batch=True)
with context.begin_transaction():
    context.run_migrations()
