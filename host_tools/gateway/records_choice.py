"""Which records of a lock are meant, as conditions over the tables of `records_schema`."""

from dataclasses import dataclass, field
from datetime import UTC, datetime

from sqlalchemy import ColumnElement, and_, or_

from host_tools.gateway.records_schema import RECORDS

_C = RECORDS.c


@dataclass
class Choice:
    """Which records of a lock. `since` and `until` are Unix seconds, the latter exclusive; a record without a time is
    in no range. `whose` are pairs (methods, number): any of them. Empty and None choose all.
    """

    since: int | None = None
    until: int | None = None
    methods: tuple[str, ...] = ()
    who: int | None = None
    whose: list[tuple[tuple[str, ...], int]] | None = None
    listed: bool = False
    failed: bool = False
    ids: list[int] = field(default_factory=list)

    def clause(self, lock: str) -> ColumnElement[bool]:
        """The condition."""
        terms: list[ColumnElement[bool]] = [_C.lock == lock, _C.gone.is_(None)]
        if self.since is not None:
            terms.append(_C.ts >= _text(self.since))
        if self.until is not None:
            terms.append(_C.ts < _text(self.until))
        if self.methods:
            terms.append(_C.method.in_(self.methods))
        if self.who is not None:
            terms.append(_C.who == self.who)
        if self.whose is not None:
            anyone = [and_(_C.who == who, _C.method.in_(methods)) for methods, who in self.whose]
            terms.append(or_(_C.id < 0, *anyone))
        if self.listed:
            terms.append(_C.list.is_not(None))
        if self.failed:
            terms.append(_C.ok == 0)
        if self.ids:
            terms.append(_C.id.in_(self.ids))
        return and_(*terms)


def _text(moment: int) -> str:
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
