"""Time zones: what a clock on the wall shows at a moment, and at which moment such a clock showed a date. Every offset
from UTC, of the gateway and of the host tools, is applied by `to_wall` and `from_wall`. Loaded late: few days need it.

A zone is text, its *rule*, in one of two forms:

* POSIX TZ with the hours of RFC 9636 3.3.1 (-167 to 167): `CET-1CEST,M3.5.0,M10.5.0/3`, `IST-1GMT0,M10.5.0,M3.5.0/1`,
  `<+02>-2`, which is a plain offset. Days are `Mm.w.d`, `Jn` and `n`. A zone with summer time must say when it is.
* changes one by one: `@60,1771120800=0,1774144800=60`: 60 minutes ahead of UTC at first, then from each moment (Unix
  seconds) on so many minutes; for zones whose changes no such rule tells.

Offsets are whole minutes ahead of UTC (POSIX writes them the other way round), moments Unix seconds of 2000 to 2099.
Source: mqtt.md 3; hardware-facts.md F60.
"""

from firmware.lib import dates
from firmware.lib.compat import const
from firmware.lib.errors import BadRequest

MAX_TEXT = 255

_DAY_S = const(86400)
_MAX_H = const(167)
_MAX_MIN = const(24 * 60)
_NEW_S = const(7200)  # when a change is that names no time of day: 02:00


def plain(offset_min):
    """The rule of a clock that is always so many minutes ahead of UTC."""
    if not offset_min:
        return "UTC0"
    minutes = abs(offset_min)
    size = "%02d" % (minutes // 60) + ("%02d" % (minutes % 60) if minutes % 60 else "")
    hours = "%d" % (minutes // 60) + (":%02d" % (minutes % 60) if minutes % 60 else "")
    return "<%s%s>%s%s" % ("-" if offset_min < 0 else "+", size, "" if offset_min < 0 else "-", hours)


# --- reading a rule


class _Text:
    """A rule that is read from left to right."""

    def __init__(self, text):
        self.text = text
        self.at = 0

    def next(self):
        """The sign that comes next, "" at the end."""
        return self.text[self.at : self.at + 1]

    def skips(self, sign):
        """Go past `sign` if it is next; whether it was."""
        if not sign or self.next() != sign:
            return False
        self.at += 1
        return True

    def must(self, is_so=True):
        """Raise BadRequest unless it is so."""
        if not is_so:
            raise BadRequest("no zone rule: fault at sign %d" % (self.at + 1))

    def number(self, low, high):
        """Up to ten digits."""
        begin = self.at
        while "0" <= self.next() <= "9" and self.at < begin + 10:
            self.at += 1
        self.must(self.at > begin)
        value = int(self.text[begin : self.at])
        self.must(low <= value <= high)
        return value

    def name(self):
        """The name of a time, which nothing needs."""
        begin = self.at
        is_quoted = self.skips("<")
        while "A" <= self.next().upper() <= "Z" or (is_quoted and self.next() and self.next() in "+-0123456789"):
            self.at += 1
        self.must(self.at - begin >= (4 if is_quoted else 3))
        self.must(not is_quoted or self.skips(">"))

    def seconds(self, max_h):
        """[+-]hh[:mm[:ss]]"""
        sign = -1 if self.skips("-") else 1
        if sign > 0:
            self.skips("+")
        value = 3600 * self.number(0, max_h)
        if self.skips(":"):
            value += 60 * self.number(0, 59)
            if self.skips(":"):
                value += self.number(0, 59)
        return sign * value

    def offset(self):
        """Minutes ahead of UTC."""
        seconds = self.seconds(24)
        self.must(seconds % 60 == 0)
        return -seconds // 60

    def change(self):
        """,day[/time] -> (kind, month, week, day, second of that day)"""
        self.must(self.skips(","))
        month = week = 0
        kind = "n"
        if self.skips("M"):
            kind = "M"
            month = self.number(1, 12)
            self.must(self.skips("."))
            week = self.number(1, 5)
            self.must(self.skips("."))
            day = self.number(0, 6)
        elif self.skips("J"):
            kind = "J"
            day = self.number(1, 365)
        else:
            day = self.number(0, 365)
        return kind, month, week, day, self.seconds(_MAX_H) if self.skips("/") else _NEW_S


def parse(text):
    """A rule -> (standard offset,), (standard offset, summer offset, its start, its end), or (first offset, [(moment,
    offset), ...]). Raises BadRequest."""
    if not isinstance(text, str) or not 0 < len(text) <= MAX_TEXT:
        raise BadRequest("a zone rule is a text of 1 to %d signs" % MAX_TEXT)
    read = _Text(text)
    if read.skips("@"):
        return _parse_changes(read)
    read.name()
    rule: tuple = (read.offset(),)
    if read.next():
        read.name()
        summer_min = read.offset() if read.next() != "," else rule[0] + 60
        rule += summer_min, read.change(), read.change()
    read.must(not read.next())
    return rule


def _parse_changes(read):
    def minutes():
        sign = -1 if read.skips("-") else 1
        return sign * read.number(0, _MAX_MIN)

    first = minutes()
    changes: list = []
    while read.skips(","):
        at_s = read.number(changes[-1][0] + 1 if changes else dates.UNIX_2000, dates.UNIX_2100 - 1)
        read.must(read.skips("="))
        changes.append((at_s, minutes()))
    read.must(not read.next())
    return first, changes


# --- its changes


def _day_of(day, year):
    """The day of a change in a year, counted from 2000-01-01."""
    kind, month, week, number, _ = day
    first = (year - 2000) * 365 + (year - 1997) // 4
    if kind == "n":
        return first + number
    if kind == "J":
        return first + number - (0 if year % 4 == 0 and number >= 60 else 1)
    for each in range(1, month):
        first += dates.days_in(year, each)
    found = first + (number - first - 6) % 7 + 7 * (week - 1)  # 2000-01-01 was a Saturday, 6
    return found if found < first + dates.days_in(year, month) else found - 7


def _changes(rule, at_s):
    """Changes about a moment, from two years before on, in order: (moment, place, offset from then on)."""
    if len(rule) == 1:
        return ()
    if len(rule) == 2:
        return [(moment, place, offset) for place, (moment, offset) in enumerate(rule[1])]
    standard, summer, start, end = rule
    found: list = []
    middle = 2000 + min(max((at_s - dates.UNIX_2000) // (365 * _DAY_S + _DAY_S // 4), 0), 99)
    for year in range(middle - 2, middle + 3):
        for day, before, after in ((start, standard, summer), (end, summer, standard)):
            moment = dates.UNIX_2000 + _DAY_S * _day_of(day, year) + day[4] - 60 * before
            found.append((moment, len(found), after))
    return sorted(found)


def _offset(rule, at_s):
    found = rule[0]
    for moment, _, offset in _changes(rule, at_s):
        if moment <= at_s:
            found = offset
    return found


def offset_at(text, at_s):
    """Minutes ahead of UTC at a moment."""
    return _offset(parse(text), at_s)


def offsets(text):
    """All offsets of a rule, each once, the smallest first."""
    return _offsets(parse(text))


def _offsets(rule):
    if len(rule) == 2:
        return sorted({rule[0]} | {offset for _, offset in rule[1]})
    return sorted(set(rule[:2]))


def next_change(text, at_s):
    """The first moment after `at_s` from which another offset holds, or None."""
    rule = parse(text)
    now = _offset(rule, at_s)
    for moment, _, offset in _changes(rule, at_s):
        if moment > at_s and offset != now and _offset(rule, moment) != now:
            return moment
    return None


def since(text, at_s, offset):
    """When the time began, up to `at_s`, in which the rule had this offset last; None: it had it always, or never."""
    rule = parse(text)
    found = None
    for moment, _, after in _changes(rule, at_s):
        if moment <= at_s and after == offset:
            found = moment
    return found


# --- dates


def to_wall(text, at_s):
    """Unix seconds -> date6 of a clock in the zone. Raises ProtocolError outside 2000 to 2099, BadRequest."""
    return dates.from_seconds(at_s - dates.UNIX_2000 + 60 * offset_at(text, at_s))


def from_wall(text, date, is_last=False):
    """date5 or date6 of a clock in the zone -> Unix seconds. Of an hour that the clock shows twice the first moment, or
    the last; of one that it skips what it would be had the change not come. Raises ProtocolError, BadRequest."""
    rule = parse(text)
    local_s = dates.to_seconds(date) + dates.UNIX_2000
    fitting = [local_s - 60 * offset for offset in _offsets(rule)]  # the last moment first
    shown = [at_s for at_s in fitting if at_s + 60 * _offset(rule, at_s) == local_s]
    if shown:
        return shown[0 if is_last else -1]
    return local_s - 60 * _offset(rule, fitting[-1])
