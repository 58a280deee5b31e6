"""What `gatehouse serve` knows beside the records: names, what was told last, alerts, messages about them."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

_ID = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def _text(*names: str) -> list[sa.Column]:
    return [sa.Column(name, sa.String, nullable=False) for name in names]


def _time(*names: str) -> list[sa.Column]:
    return [sa.Column(name, sa.Float(53), nullable=False) for name in names]


def upgrade() -> None:
    op.create_table(
        "names",
        *_text("subject", "kind"),
        sa.Column("who", sa.BigInteger, nullable=False),
        *_text("name"),
        sa.PrimaryKeyConstraint("subject", "kind", "who"),
    )
    op.create_table(
        "watches", *_text("subject", "what", "value"), *_time("at", "since"), sa.PrimaryKeyConstraint("subject", "what")
    )
    op.create_table(
        "alerts",
        sa.Column("id", _ID, primary_key=True),
        *_text("kind", "subject"),
        *_time("since", "until"),
        sa.Column("ended", sa.Float(53)),
    )
    op.create_index("alerts_by_subject", "alerts", ["subject", "kind", "until"])
    op.create_table(
        "notices",
        sa.Column("id", _ID, primary_key=True),
        sa.Column("alert", sa.BigInteger, nullable=False),
        *_text("part", "target", "title", "body", "state"),
        sa.Column("sender", sa.String),
        sa.Column("attempts", sa.BigInteger, nullable=False, server_default="0"),
        *_time("made", "due"),
        sa.UniqueConstraint("alert", "part", "target", name="notices_once"),
    )
    op.create_index("notices_by_state", "notices", ["state", "due"])
