"""What Alembic runs for each command: our tables, on the connection that `migrate` opened."""

from __future__ import annotations

from alembic import context

from crm_store.models import Table

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Table.metadata,
    compare_type=True,
)
with context.begin_transaction():
    context.run_migrations()
