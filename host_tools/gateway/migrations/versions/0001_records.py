"""Records, gaps and what was asked for: the schema of the SQLite files of before there were migrations.

Such a file becomes this one with nothing lost. In those of the first release a record was (lock, epoch, rec), `epoch` a
count that each gateway began at 0, and had no date; their version is 0 or 1. Version 2 does not say what was proven.
"""

import sqlalchemy as sa
from alembic import op

from host_tools.gateway.records_batch import moment

revision = "0001"
down_revision = None

_WITHOUT_PROOF = 2
_TOLD: tuple[str, ...] = ("rec", "type", "list", "event", "method", "ok", "who", "ts", "approx", "battery", "button")
_TOLD += ("accessory_battery",)
_ID = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    base = op.get_bind()
    there = sa.inspect(base).get_table_names()
    version = base.execute(sa.text("PRAGMA user_version")).scalar_one() if base.dialect.name == "sqlite" else 0
    if "records" not in there:
        _create("records")
    elif version == _WITHOUT_PROOF:
        op.execute("ALTER TABLE records ADD COLUMN proven INTEGER")
    elif version < _WITHOUT_PROOF:
        _create("records_2")
        _take_over(base)
        op.drop_table("records")
        op.rename_table("records_2", "records")
    op.create_index("records_by_number", "records", ["lock", "epoch", "rec"], if_not_exists=True)
    op.create_index("records_by_place", "records", ["lock", "place", "rec", "id"], if_not_exists=True)
    for name, columns in (("gaps", ("before", "lost")), ("asked", ("first", "last"))):
        if name not in there:
            keys = [sa.Column(each, sa.BigInteger, nullable=False) for each in ("epoch", *columns)]
            key = ("lock", "epoch", columns[0]) if name == "gaps" else ("lock", "epoch", *columns)
            op.create_table(name, sa.Column("lock", sa.String, nullable=False), *keys, sa.PrimaryKeyConstraint(*key))


def _create(name: str) -> None:
    texts = {"event", "method", "ts"}
    op.create_table(
        name,
        sa.Column("id", _ID, primary_key=True),
        sa.Column("lock", sa.String, nullable=False),
        sa.Column("epoch", sa.BigInteger, nullable=False),
        sa.Column("rec", sa.BigInteger, nullable=False),
        sa.Column("date", sa.String, nullable=False),
        *(sa.Column(each, sa.String if each in texts else sa.BigInteger) for each in _TOLD[1:]),
        sa.Column("place", sa.Float(53), nullable=False, server_default="0"),
        *(sa.Column(each, sa.BigInteger) for each in ("arrived", "gone", "proven")),
    )


def _take_over(base: sa.Connection) -> None:
    """Every row of the first release's table, also what was deleted, in the order of its numbers."""
    there = [each["name"] for each in sa.inspect(base).get_columns("records")]
    kept = [column for column in ("lock", "epoch", *_TOLD, "gone") if column in there]
    place = 0.0
    owner = None
    rows = base.execute(sa.text("SELECT %s FROM records ORDER BY lock, epoch, rec" % ",".join(kept))).all()
    for row in rows:
        values = dict(zip(kept, row, strict=True))
        if values["lock"] != owner:
            owner, place = values["lock"], 0.0
        at = moment(values["ts"]) if values.get("ts") else None
        place = place if at is None else at.timestamp()
        values |= {"date": "", "place": 0.0 if values.get("gone") else place}
        marks = ",".join(":" + name for name in values)
        base.execute(sa.text("INSERT INTO records_2 (%s) VALUES (%s)" % (",".join(values), marks)), values)
