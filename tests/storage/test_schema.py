"""
The migrations: from nothing to the schema, once, whoever asks.
"""

import sqlite3
import subprocess
import sys
from contextlib import closing

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import event

from broker.errors import FileFault, RecordUnavailable
from broker.storage.engine import open_engine
from broker.storage.schema import upgrade
from broker.storage.snapshot import load
from broker.storage.tables import metadata
from tests.storage.databases import engine_on, look


@pytest.fixture
def file(tmp_path):
    return tmp_path / "broker.db"


@pytest.fixture
def engine(file):
    with engine_on(file) as engine:
        yield engine


def test_the_migrations_lead_to_the_schema_that_the_code_uses(engine):
    upgrade(engine)

    with engine.connect() as connection:
        assert [] == compare_metadata(MigrationContext.configure(connection), metadata)


def test_foreign_keys_names_and_counters_are_as_declared(engine, file):
    """
    What the comparison does not look at: what deletes with what, and that ids are not used again.
    """
    upgrade(engine)
    migrated = dict(look(file, "SELECT name, sql FROM sqlite_master WHERE type = 'table'"))
    with engine_on(file.with_name("other.db")) as other:
        metadata.create_all(other)
    declared = dict(look(file.with_name("other.db"), "SELECT name, sql FROM sqlite_master WHERE type = 'table'"))

    assert {table: _facts(sql) for table, sql in declared.items() if table != "sqlite_sequence"} == {
        table: _facts(sql) for table, sql in migrated.items() if table not in {"sqlite_sequence", "alembic_version"}
    }


def _facts(sql):
    return sorted(line.strip().rstrip(",") for line in sql.splitlines() if line.strip().rstrip(","))


def test_a_new_database_has_an_empty_policy(engine, file):
    upgrade(engine)

    assert [(1, 1)] == look(file, "SELECT id, version FROM policy")


def test_migrating_again_changes_nothing(engine, file):
    upgrade(engine)
    before = look(file, "SELECT * FROM sqlite_master"), look(file, "SELECT * FROM policy")
    upgrade(engine)

    assert before == (look(file, "SELECT * FROM sqlite_master"), look(file, "SELECT * FROM policy"))


def test_a_database_with_data_of_the_first_schema_keeps_it(engine, file):
    """
    Every step from 0001 on leaves what is there as it is, and new tables are empty.
    """
    upgrade(engine, "0001")
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.executescript(FIRST_DATA)
    tables = [name for (name,) in look(file, "SELECT name FROM sqlite_master WHERE type = 'table'")]
    kept = [table for table in tables if table not in {"alembic_version", "sqlite_sequence"}]
    before = {table: look(file, f"SELECT * FROM {table}") for table in kept}

    upgrade(engine)

    assert before == {table: look(file, f"SELECT * FROM {table}") for table in kept}
    assert all(before.values())
    assert [] == look(file, "SELECT * FROM contents")
    with engine.connect() as connection:
        policy = load(connection)
    assert ("alice", 7, None) == (policy.user("u-1").username, policy.version, policy.content_owner("c-1"))


FIRST_DATA = """
INSERT INTO users VALUES ('u-1', 'alice', 'alice', '', '', '', 'publisher', NULL, 1, 1, NULL, 0);
INSERT INTO groups VALUES ('g-1', 'analysts', 'analysts', 'u-1');
INSERT INTO members VALUES ('g-1', 'u-1');
INSERT INTO api_keys VALUES (1, 'u-1', 'a key', 'aa', NULL, 1, NULL, NULL);
INSERT INTO integrations VALUES (1, 'i-1', 'Packages', '', 'ppm',
  '{"ppm_url": "https://a.example", "scopes": "repos:read:*"}', 'restricted', 1, 1);
INSERT INTO permissions VALUES (1, 'p-1', 1, NULL, 'g-1');
INSERT INTO builds VALUES ('b-1', 'u-1', 'c-1', 'u-1', 1, 2, NULL);
INSERT INTO decisions VALUES ('d-1', 'b-1', 7, 1, 'u-1', NULL, '[]', '[]', '[]');
INSERT INTO credentials VALUES ('k-1', 'b-1', 'd-1', 'a.example', 'https://a.example', '', '[]', 'j', 's', NULL, 1,
  NULL, NULL);
INSERT INTO audit VALUES (1, 1, 'u-1', 'build.opened', 'b-1', 'allowed', NULL, '{}');
UPDATE policy SET version = 7;
"""


def test_a_database_of_a_newer_broker_is_left_alone(engine, file):
    upgrade(engine)
    with sqlite3.connect(file) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.close()

    with pytest.raises(FileFault, match=r"9999.*newer"):
        upgrade(engine)
    assert [("9999",)] == look(file, "SELECT version_num FROM alembic_version")


def test_a_migration_that_fails_halfway_leaves_nothing(engine, file):
    @event.listens_for(engine, "before_cursor_execute")
    def fail(connection, cursor, statement, parameters, context, executemany):
        if statement.startswith("INSERT INTO policy"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        upgrade(engine)
    event.remove(engine, "before_cursor_execute", fail)

    assert [] == look(file, "SELECT name FROM sqlite_master")
    upgrade(engine)
    assert [(1, 1)] == look(file, "SELECT id, version FROM policy")


def test_a_file_that_is_no_database_is_not_touched(engine, file):
    file.write_text("precious\n" * 1000)

    with pytest.raises(RecordUnavailable, match="not a database"):
        upgrade(engine)
    assert "precious\n" * 1000 == file.read_text()


UPGRADE = """
import sys
from broker.storage.engine import open_engine
from broker.storage.schema import upgrade
sys.stdin.readline()
engine = open_engine("sqlite:///" + sys.argv[1])
upgrade(engine)
engine.dispose()
"""


def test_several_processes_may_migrate_at_once(file, request):
    command = [sys.executable, "-c", UPGRADE, str(file)]
    processes = [
        subprocess.Popen(
            command,
            cwd=request.config.rootpath,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(3)
    ]
    for process in processes:
        process.stdin.write("go\n")
        process.stdin.flush()

    said = [process.communicate(timeout=60) for process in processes]

    assert [("", "")] * 3 == said
    assert [(1, 1)] == look(file, "SELECT id, version FROM policy")


def test_every_commit_is_on_disk_and_foreign_keys_are_kept(engine):
    """
    The promise of the record rests on these four.
    """
    upgrade(engine)
    with engine.connect() as connection:
        pragmas = [
            connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        ]

    assert ["wal", 2, 1, 5000] == pragmas


def test_opening_alone_makes_no_file(file):
    open_engine(f"sqlite:///{file}").dispose()

    assert not file.exists()
