"""Which records of a lock are meant, as a condition in SQL over the tables of `records_schema`."""

from dataclasses import dataclass, field
from datetime import UTC, datetime


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

    def clause(self, lock: str) -> tuple[str, list]:
        """The condition in SQL, and its values."""
        terms = ["lock=?", "gone IS NULL"]
        values: list = [lock]
        for sign, moment in ((">=", self.since), ("<", self.until)):
            if moment is not None:
                terms.append("ts%s?" % sign)
                values.append(datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"))
        if self.methods:
            terms.append("method IN (%s)" % ",".join("?" * len(self.methods)))
            values += self.methods
        if self.who is not None:
            terms.append("who=?")
            values.append(self.who)
        if self.whose is not None:
            terms.append("(%s)" % (" OR ".join(_one_of(methods) for methods, _ in self.whose) or "0"))
            for methods, who in self.whose:
                values += [who, *methods]
        if self.listed:
            terms.append("list IS NOT NULL")
        if self.failed:
            terms.append("ok=0")
        if self.ids:
            terms.append("id IN (%s)" % ",".join("?" * len(self.ids)))
            values += self.ids
        return " AND ".join(terms), values


def _one_of(methods: tuple[str, ...]) -> str:
    return "(who=? AND method IN (%s))" % ",".join("?" * len(methods))
