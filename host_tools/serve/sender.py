"""Messages about alerts: each is sent by one instance, once, through apprise.

Owns the table `notices`. A message is claimed in the database before it is sent; a receiver that refuses it gets it
again, ever more rarely, for a day. Whether one has arrived whose sender died in that very moment is not known: it is
not sent again, but marked and told, for nothing is to be sent twice.
"""

import logging
import secrets
import time
from collections.abc import Callable

from sqlalchemy import func, select, update

from host_tools.gateway.database import Database
from host_tools.gateway.records_schema import NOTICES
from host_tools.serve.config import Target
from host_tools.serve.metrics import Metrics

_MAX_AGE_S = 86400.0
_CLAIM_S = 600.0  # no sending takes so long: its sender is no more
_PAUSE_S, _MAX_PAUSE_S = 10.0, 900.0
_AT_ONCE = 20
STATES = ("due", "sending", "sent", "failed", "unknown")

Send = Callable[[Target, str, str], bool]


class Sender:
    """`send(target, title, body)` says whether the receiver has taken it."""

    def __init__(
        self,
        database: Database,
        targets: tuple[Target, ...],
        metrics: Metrics,
        told: Callable[[str], None],
        send: Send | None = None,
        now_s: Callable[[], float] = time.time,
    ) -> None:
        self._database = database
        self._targets = {each.name: each for each in targets}
        self._metrics = metrics
        self._told = told
        self._send = send or by_apprise
        self._now_s = now_s
        self._name = secrets.token_hex(8)

    def work(self) -> int:
        """Send what is due -> how many messages were tried. DatabaseError."""
        c = NOTICES.c
        now = self._now_s()
        self._give_up(now)
        due = select(c.id).where(c.state == "due", c.due <= now, c.target.in_(self._targets)).order_by(c.id)
        with self._database.reading() as base:
            numbers = base.scalars(due.limit(_AT_ONCE)).all()
        tried = sum(self._one(number) for number in numbers)
        with self._database.reading() as base:
            counts: dict[str, int] = dict(base.execute(select(c.state, func.count()).group_by(c.state)).tuples().all())
        for state in STATES:
            self._metrics.notices.labels(state).set(counts.get(state, 0))
        return tried

    def _one(self, number: int) -> bool:
        c = NOTICES.c
        now = self._now_s()
        with self._database.writing() as base:
            claim = update(NOTICES).where(c.id == number, c.state == "due")
            claimed = base.execute(claim.values(state="sending", sender=self._name, due=now, attempts=c.attempts + 1))
            if claimed.rowcount != 1:
                return False  # another instance was faster
            row = base.execute(select(c.target, c.title, c.body, c.attempts, c.made).where(c.id == number)).one()
        is_taken = self._send(self._targets[row.target], row.title, row.body)
        values: dict = {"state": "sent"}
        if not is_taken:
            now = self._now_s()
            pause_s = min(_PAUSE_S * 2 ** min(row.attempts - 1, 20), _MAX_PAUSE_S)
            is_over = now + pause_s > row.made + _MAX_AGE_S
            values = {"state": "failed"} if is_over else {"state": "due", "due": now + pause_s}
            self._told("alert %d: %s did not take it%s" % (number, row.target, "; given up" if is_over else ""))
        with self._database.writing() as base:
            base.execute(update(NOTICES).where(c.id == number, c.sender == self._name).values(**values))
        return True

    def _give_up(self, now: float) -> None:
        """What was claimed long ago is not known to have arrived."""
        c = NOTICES.c
        lost = (c.state == "sending", c.due < now - _CLAIM_S)
        with self._database.reading() as base:
            numbers = base.scalars(select(c.id).where(*lost)).all()
        for number in numbers:
            with self._database.writing() as base:
                done = base.execute(update(NOTICES).where(c.id == number, *lost).values(state="unknown"))
            if done.rowcount:
                self._told("alert %d: its sender ended meanwhile; it may not have arrived" % number)


def by_apprise(target: Target, title: str, body: str) -> bool:
    """Whether apprise has delivered it."""
    import apprise

    logging.getLogger("apprise").setLevel(logging.CRITICAL)  # its texts hold the URL
    receiver = apprise.Apprise()
    return bool(receiver.add(target.url)) and bool(
        receiver.notify(body=body, title=title, notify_type=apprise.NotifyType.WARNING)
    )


def is_receiver(target: Target) -> bool:
    """Whether apprise knows what the URL means; nothing is sent."""
    import apprise

    logging.getLogger("apprise").setLevel(logging.CRITICAL)
    return bool(apprise.Apprise().add(target.url))
