"""The one schema of records and of what `gatehouse serve` knows beside them, the same in SQLite and in PostgreSQL.

Owns the tables as they are today. How an older base becomes this one is in `migrations`, and a test compares the two;
what counts as the same record, and what is chosen, is `records_store`'s.

`proven` is 1 for a row whose batch bore the mac of its gateway; rows of before there were macs have NULL, and so have
those of gateways without an owner here. A row of the first release has an empty `date` until the record arrives once
more and is recognised.
"""

from sqlalchemy import BigInteger, Column, Float, Index, Integer, MetaData, String, Table, UniqueConstraint

from host_tools.gateway.records_batch import moment

COLUMNS: tuple[str, ...] = ("rec", "type", "list", "event", "method", "ok", "who", "ts", "approx")
COLUMNS += ("battery", "button", "accessory_battery")
HEAD = "0002"  # the newest revision in `migrations`
COUNTED = 1 << 16  # an epoch below this is the first release's count; an era is not, but for one in 2 ** 32

META = MetaData()
_ID = BigInteger().with_variant(Integer, "sqlite")  # SQLite numbers rows by itself for INTEGER alone


def _text(name: str, **more: object) -> Column:
    return Column(name, String, **more)  # type: ignore[arg-type]


def _int(name: str, **more: object) -> Column:
    return Column(name, BigInteger, **more)  # type: ignore[arg-type]


RECORDS = Table(
    "records",
    META,
    Column("id", _ID, primary_key=True),
    _text("lock", nullable=False),
    _int("epoch", nullable=False),
    _int("rec", nullable=False),
    _text("date", nullable=False),
    _int("type"),
    _int("list"),
    _text("event"),
    _text("method"),
    _int("ok"),
    _int("who"),
    _text("ts"),
    _int("approx"),
    _int("battery"),
    _int("button"),
    _int("accessory_battery"),
    Column("place", Float(53), nullable=False, server_default="0"),
    _int("arrived"),
    _int("gone"),
    _int("proven"),
    Index("records_by_number", "lock", "epoch", "rec"),
    Index("records_by_place", "lock", "place", "rec", "id"),
)
GAPS = Table(
    "gaps",
    META,
    _text("lock", primary_key=True),
    _int("epoch", primary_key=True, autoincrement=False),
    _int("before", primary_key=True, autoincrement=False),
    _int("lost", nullable=False),
)
ASKED = Table(
    "asked",
    META,
    _text("lock", primary_key=True),
    _int("epoch", primary_key=True, autoincrement=False),
    _int("first", primary_key=True, autoincrement=False),
    _int("last", primary_key=True, autoincrement=False),
)

# --- what the service knows beside them

# Names that the owner has given out: kind is `lock`, `gateway`, or a credential's (`owner.names.KINDS`) with its number
NAMES = Table(
    "names",
    META,
    _text("subject", primary_key=True),
    _text("kind", primary_key=True),
    _int("who", primary_key=True, autoincrement=False),
    _text("name", nullable=False),
)
# The last that was told of a subject (`<gateway>`, `<lock>` or `<gateway>/<lock>`): `at` and `since` are Unix seconds
WATCHES = Table(
    "watches",
    META,
    _text("subject", primary_key=True),
    _text("what", primary_key=True),
    _text("value", nullable=False),
    Column("at", Float(53), nullable=False),
    Column("since", Float(53), nullable=False),
)
# One row for each event that was worth a message; `ended` is NULL while it lasts
ALERTS = Table(
    "alerts",
    META,
    Column("id", _ID, primary_key=True),
    _text("kind", nullable=False),
    _text("subject", nullable=False),
    Column("since", Float(53), nullable=False),
    Column("until", Float(53), nullable=False),
    Column("ended", Float(53)),
    Index("alerts_by_subject", "subject", "kind", "until"),
)
# One row for each message and receiver; `state` is due, sending, sent, failed or unknown
NOTICES = Table(
    "notices",
    META,
    Column("id", _ID, primary_key=True),
    _int("alert", nullable=False),
    _text("part", nullable=False),
    _text("target", nullable=False),
    _text("title", nullable=False),
    _text("body", nullable=False),
    _text("state", nullable=False),
    _text("sender"),
    _int("attempts", nullable=False, server_default="0"),
    Column("made", Float(53), nullable=False),
    Column("due", Float(53), nullable=False),
    UniqueConstraint("alert", "part", "target", name="notices_once"),
    Index("notices_by_state", "state", "due"),
)


def unix_of(ts: str | None) -> float | None:
    """Unix seconds of a record's time, None for what is none."""
    at = moment(ts) if ts else None
    return None if at is None else at.timestamp()
