"""
Run by Alembic: migrate over the connection that `broker.storage.schema` holds.
"""

from alembic import context

from broker.storage.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
context.run_migrations()
