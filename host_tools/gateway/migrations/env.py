"""Alembic's entry: runs the revisions on the connection that `database.migrate` gives, inside its transaction."""

from alembic import context

from host_tools.gateway.records_schema import META

context.configure(connection=context.config.attributes["connection"], target_metadata=META, transactional_ddl=True)
context.run_migrations()
