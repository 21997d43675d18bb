"""
The first schema.
"""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """
    Create every table, and the version of the empty policy.
    """
    op.create_table(
        "audit",
        sa.Column("seq", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("time", sa.BigInteger(), nullable=False),
        sa.Column("actor", sa.String(length=64), nullable=False),
        sa.Column("action", sa.String(length=64), nullable=False),
        sa.Column("target", sa.String(length=64), nullable=True),
        sa.Column("outcome", sa.String(length=16), nullable=False),
        sa.Column("correlation_id", sa.String(length=128), nullable=True),
        sa.Column("detail", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_audit")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_audit_target", "audit", ["target"], unique=False)
    op.create_table(
        "builds",
        sa.Column("guid", sa.String(length=36), nullable=False),
        sa.Column("owner_guid", sa.String(length=36), nullable=False),
        sa.Column("content_guid", sa.String(length=36), nullable=True),
        sa.Column("caller_guid", sa.String(length=36), nullable=False),
        sa.Column("created_time", sa.BigInteger(), nullable=False),
        sa.Column("expires_time", sa.BigInteger(), nullable=False),
        sa.Column("finished_time", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("guid", name=op.f("pk_builds")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "integrations",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("guid", sa.String(length=36), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("template", sa.String(length=64), nullable=False),
        sa.Column("config", sa.JSON(), nullable=False),
        sa.Column("access", sa.String(length=16), nullable=False),
        sa.Column("created_time", sa.BigInteger(), nullable=False),
        sa.Column("updated_time", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_integrations")),
        sa.UniqueConstraint("guid", name=op.f("uq_integrations_guid")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "policy",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_policy")),
    )
    op.create_table(
        "users",
        sa.Column("guid", sa.String(length=36), nullable=False),
        sa.Column("username", sa.String(length=64), nullable=False),
        sa.Column("username_folded", sa.String(length=255), nullable=False),
        sa.Column("email", sa.String(length=320), nullable=False),
        sa.Column("first_name", sa.String(length=255), nullable=False),
        sa.Column("last_name", sa.String(length=255), nullable=False),
        sa.Column("role", sa.String(length=16), nullable=False),
        sa.Column("external_id", sa.String(length=255), nullable=True),
        sa.Column("created_time", sa.BigInteger(), nullable=False),
        sa.Column("updated_time", sa.BigInteger(), nullable=False),
        sa.Column("active_time", sa.BigInteger(), nullable=True),
        sa.Column("locked", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("guid", name=op.f("pk_users")),
        sa.UniqueConstraint("username_folded", name=op.f("uq_users_username_folded")),
    )
    op.create_table(
        "api_keys",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("user_guid", sa.String(length=36), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("role", sa.String(length=16), nullable=True),
        sa.Column("created_time", sa.BigInteger(), nullable=False),
        sa.Column("active_time", sa.BigInteger(), nullable=True),
        sa.Column("expires_time", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["user_guid"], ["users.guid"], name=op.f("fk_api_keys_user_guid"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_api_keys")),
        sa.UniqueConstraint("sha256", name=op.f("uq_api_keys_sha256")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_api_keys_user_guid"), "api_keys", ["user_guid"], unique=False)
    op.create_table(
        "decisions",
        sa.Column("guid", sa.String(length=36), nullable=False),
        sa.Column("build_guid", sa.String(length=36), nullable=False),
        sa.Column("policy_version", sa.BigInteger(), nullable=False),
        sa.Column("created_time", sa.BigInteger(), nullable=False),
        sa.Column("owner_guid", sa.String(length=36), nullable=False),
        sa.Column("wanted", sa.JSON(), nullable=True),
        sa.Column("granted", sa.JSON(), nullable=False),
        sa.Column("planned", sa.JSON(), nullable=False),
        sa.Column("skipped", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(["build_guid"], ["builds.guid"], name=op.f("fk_decisions_build_guid")),
        sa.PrimaryKeyConstraint("guid", name=op.f("pk_decisions")),
        sqlite_with_rowid=False,
    )
    op.create_index(op.f("ix_decisions_build_guid"), "decisions", ["build_guid"], unique=False)
    op.create_table(
        "groups",
        sa.Column("guid", sa.String(length=36), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("name_folded", sa.String(length=1024), nullable=False),
        sa.Column("owner_guid", sa.String(length=36), nullable=True),
        sa.ForeignKeyConstraint(["owner_guid"], ["users.guid"], name=op.f("fk_groups_owner_guid")),
        sa.PrimaryKeyConstraint("guid", name=op.f("pk_groups")),
        sa.UniqueConstraint("name_folded", name=op.f("uq_groups_name_folded")),
    )
    op.create_table(
        "credentials",
        sa.Column("guid", sa.String(length=36), nullable=False),
        sa.Column("build_guid", sa.String(length=36), nullable=False),
        sa.Column("decision_guid", sa.String(length=36), nullable=False),
        sa.Column("machine", sa.String(length=253), nullable=False),
        sa.Column("ppm_url", sa.Text(), nullable=False),
        sa.Column("scopes", sa.Text(), nullable=False),
        sa.Column("integration_guids", sa.JSON(), nullable=False),
        sa.Column("assertion_jti", sa.String(length=64), nullable=False),
        sa.Column("assertion_sha256", sa.String(length=64), nullable=False),
        sa.Column("token_sha256", sa.String(length=64), nullable=True),
        sa.Column("created_time", sa.BigInteger(), nullable=False),
        sa.Column("expires_time", sa.BigInteger(), nullable=True),
        sa.Column("problem", sa.String(length=64), nullable=True),
        sa.ForeignKeyConstraint(["build_guid"], ["builds.guid"], name=op.f("fk_credentials_build_guid")),
        sa.ForeignKeyConstraint(["decision_guid"], ["decisions.guid"], name=op.f("fk_credentials_decision_guid")),
        sa.PrimaryKeyConstraint("guid", name=op.f("pk_credentials")),
        sqlite_with_rowid=False,
    )
    op.create_index(op.f("ix_credentials_build_guid"), "credentials", ["build_guid"], unique=False)
    op.create_table(
        "members",
        sa.Column("group_guid", sa.String(length=36), nullable=False),
        sa.Column("user_guid", sa.String(length=36), nullable=False),
        sa.ForeignKeyConstraint(
            ["group_guid"], ["groups.guid"], name=op.f("fk_members_group_guid"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["user_guid"], ["users.guid"], name=op.f("fk_members_user_guid"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("group_guid", "user_guid", name=op.f("pk_members")),
    )
    op.create_index(op.f("ix_members_user_guid"), "members", ["user_guid"], unique=False)
    op.create_table(
        "permissions",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("guid", sa.String(length=36), nullable=False),
        sa.Column("integration_id", sa.Integer(), nullable=False),
        sa.Column("user_guid", sa.String(length=36), nullable=True),
        sa.Column("group_guid", sa.String(length=36), nullable=True),
        sa.ForeignKeyConstraint(
            ["group_guid"], ["groups.guid"], name=op.f("fk_permissions_group_guid"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["integration_id"], ["integrations.id"], name=op.f("fk_permissions_integration_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["user_guid"], ["users.guid"], name=op.f("fk_permissions_user_guid"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_permissions")),
        sa.UniqueConstraint("guid", name=op.f("uq_permissions_guid")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_permissions_group_guid"), "permissions", ["group_guid"], unique=False)
    op.create_index(op.f("ix_permissions_integration_id"), "permissions", ["integration_id"], unique=False)
    op.create_index(op.f("ix_permissions_user_guid"), "permissions", ["user_guid"], unique=False)
    op.execute("INSERT INTO policy (id, version) VALUES (1, 1)")
