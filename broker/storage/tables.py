"""
The schema. Changing it means a migration beside it; a test compares the two.
"""

from datetime import UTC, datetime, timedelta

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Dialect,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)

BigId = BigInteger().with_variant(Integer, "sqlite")
"""A 64-bit key that counts up by itself; SQLite does that only for a column called INTEGER."""


class Instant(TypeDecorator[datetime]):
    """A UTC time as whole microseconds since 1970: the same on every database, and never naive by accident."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:  # noqa: ARG002 - the interface
        """Return microseconds; a naive time is a defect and raises TypeError."""
        return None if value is None else (value - _EPOCH) // _MICROSECOND

    def process_result_value(self, value: int | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002 - as above
        """Return an aware time."""
        return None if value is None else _EPOCH + timedelta(microseconds=value)


metadata = MetaData(
    naming_convention={
        "ix": "ix_%(column_0_label)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)

Guid = String(36)

policy = Table(
    "policy",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("version", BigInteger, nullable=False),
)

users = Table(
    "users",
    metadata,
    Column("guid", Guid, primary_key=True),
    Column("username", String(64), nullable=False),
    Column("username_folded", String(255), nullable=False, unique=True),
    Column("email", String(320), nullable=False),
    Column("first_name", String(255), nullable=False),
    Column("last_name", String(255), nullable=False),
    Column("role", String(16), nullable=False),
    Column("external_id", String(255)),
    Column("created_time", Instant, nullable=False),
    Column("updated_time", Instant, nullable=False),
    Column("active_time", Instant),
    Column("locked", Boolean, nullable=False),
)

groups = Table(
    "groups",
    metadata,
    Column("guid", Guid, primary_key=True),
    Column("name", String(255), nullable=False),
    Column("name_folded", String(1024), nullable=False, unique=True),
    Column("owner_guid", Guid, ForeignKey("users.guid")),
)

members = Table(
    "members",
    metadata,
    Column("group_guid", Guid, ForeignKey("groups.guid", ondelete="CASCADE"), primary_key=True),
    Column("user_guid", Guid, ForeignKey("users.guid", ondelete="CASCADE"), primary_key=True, index=True),
)

api_keys = Table(
    "api_keys",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("user_guid", Guid, ForeignKey("users.guid", ondelete="CASCADE"), nullable=False, index=True),
    Column("name", String(255), nullable=False),
    Column("sha256", String(64), nullable=False, unique=True),
    Column("role", String(16)),
    Column("created_time", Instant, nullable=False),
    Column("active_time", Instant),
    Column("expires_time", Instant),
    sqlite_autoincrement=True,  # the id of a deleted key never names another one
)

integrations = Table(
    "integrations",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("guid", Guid, nullable=False, unique=True),
    Column("name", String(255), nullable=False),
    Column("description", Text, nullable=False),
    Column("template", String(64), nullable=False),
    Column("config", JSON, nullable=False),
    Column("access", String(16), nullable=False),
    Column("created_time", Instant, nullable=False),
    Column("updated_time", Instant, nullable=False),
    sqlite_autoincrement=True,
)

permissions = Table(
    "permissions",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("guid", Guid, nullable=False, unique=True),
    Column("integration_id", Integer, ForeignKey("integrations.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("user_guid", Guid, ForeignKey("users.guid", ondelete="CASCADE"), index=True),
    Column("group_guid", Guid, ForeignKey("groups.guid", ondelete="CASCADE"), index=True),
    sqlite_autoincrement=True,
)

contents = Table(
    "contents",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("guid", Guid, nullable=False, unique=True),
    Column("name", String(64), nullable=False),
    Column("owner_guid", Guid, ForeignKey("users.guid"), nullable=False),
    Column("created_time", Instant, nullable=False),
    UniqueConstraint("owner_guid", "name"),
    sqlite_autoincrement=True,
)

# The tables below are written by every build. Each index costs as much as a row, so there are only those that a request
# needs, and on SQLite their rows lie in the primary key itself.
builds = Table(
    "builds",
    metadata,
    Column("guid", Guid, primary_key=True),
    Column("owner_guid", Guid, nullable=False),
    Column("content_guid", Guid),
    Column("caller_guid", Guid, nullable=False),
    Column("created_time", Instant, nullable=False),
    Column("expires_time", Instant, nullable=False),
    Column("finished_time", Instant),
    sqlite_with_rowid=False,
)

decisions = Table(
    "decisions",
    metadata,
    Column("guid", Guid, primary_key=True),
    Column("build_guid", Guid, ForeignKey("builds.guid"), nullable=False, index=True),
    Column("policy_version", BigInteger, nullable=False),
    Column("created_time", Instant, nullable=False),
    Column("owner_guid", Guid, nullable=False),
    Column("wanted", JSON),
    Column("granted", JSON, nullable=False),
    Column("planned", JSON, nullable=False),
    Column("skipped", JSON, nullable=False),
    sqlite_with_rowid=False,
)

credentials = Table(
    "credentials",
    metadata,
    Column("guid", Guid, primary_key=True),
    Column("build_guid", Guid, ForeignKey("builds.guid"), nullable=False, index=True),
    Column("decision_guid", Guid, ForeignKey("decisions.guid"), nullable=False),
    Column("machine", String(253), nullable=False),
    Column("ppm_url", Text, nullable=False),
    Column("scopes", Text, nullable=False),
    Column("integration_guids", JSON, nullable=False),
    Column("assertion_jti", String(64), nullable=False),
    Column("assertion_sha256", String(64), nullable=False),
    Column("token_sha256", String(64)),
    Column("created_time", Instant, nullable=False),
    Column("expires_time", Instant),
    Column("problem", String(64)),
    sqlite_with_rowid=False,
)

audit = Table(
    "audit",
    metadata,
    Column("seq", BigId, primary_key=True),
    Column("time", Instant, nullable=False),
    Column("actor", String(64), nullable=False),
    Column("action", String(64), nullable=False),
    Column("target", String(64)),
    Column("outcome", String(16), nullable=False),
    Column("correlation_id", String(128)),
    Column("detail", JSON, nullable=False),
    Index("ix_audit_target", "target"),
    sqlite_autoincrement=True,
)
