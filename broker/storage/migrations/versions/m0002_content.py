"""
Content and its owners.
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """
    Create the table of content. Builds that named a content before it was registered keep their guid as it is.
    """
    op.create_table(
        "contents",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("guid", sa.String(length=36), nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("owner_guid", sa.String(length=36), nullable=False),
        sa.Column("created_time", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["owner_guid"], ["users.guid"], name=op.f("fk_contents_owner_guid")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_contents")),
        sa.UniqueConstraint("guid", name=op.f("uq_contents_guid")),
        sa.UniqueConstraint("owner_guid", "name", name=op.f("uq_contents_owner_guid")),
        sqlite_autoincrement=True,
    )
