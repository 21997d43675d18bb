"""
Bring a database to the schema of this version.
"""

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine

from broker.errors import FileFault
from broker.storage.engine import writing


def upgrade(engine: Engine, revision: str = "head") -> None:
    """
    Apply every migration that is missing, in one transaction; several processes may do so at once.

    An earlier `revision` is where tests stop, to put data in that a later step has to keep.
    Raises RecordUnavailable when the database cannot be used, FileFault when a newer broker has written it.
    """
    config = _config()
    with writing(engine) as connection:
        _must_be_known(connection, config)
        config.attributes["connection"] = connection
        command.upgrade(config, revision)


def _must_be_known(connection: Connection, config: Config) -> None:
    revision = MigrationContext.configure(connection).get_current_revision()
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    if revision is not None and revision not in known:
        raise FileFault(f"the database has schema {revision}, which a newer broker has written; start that version")


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", "broker.storage:migrations")
    return config
