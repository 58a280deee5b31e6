"""What `gatehouse doctor` may find: every code with what to do about it, and how grave a finding is.

Owns the codes, which are stable, their advice, and the order of severities. docs/doctor.md shows the table. What is
looked at, and when a finding is true, is for `port`, `gateway` and `lock`.
"""

from dataclasses import dataclass, field

OK, NOTE, WARNING, ERROR = "ok", "note", "warning", "error"
SEVERITIES = (OK, NOTE, WARNING, ERROR)

# code -> what to do where it is not in order
ADVICE = {
    # a port
    "port": "plug the board in; `ls /dev/serial/by-id` lists ports; end other programs that have it open",
    "board": "another cable (one that carries data), another socket; press the board's reset",
    "micropython": 'put MicroPython 1.25 or newer on it (README, "Flash"), then `gatehouse setup`',
    "firmware": "`gatehouse setup --port PORT`, or `gatehouse flash gateway PORT`",
    "version": "`gatehouse update PORT`: settings and keys stay",
    "role": "flash the role that you mean; erase the board first: what it keeps belongs to its role",
    "settings": "`gatehouse setup --port PORT` asks for what is missing",
    "owner": "`gatehouse gateway own --port PORT` makes it yours; its settings stay",
    "safe_mode": "read the last words in its log (`gatehouse logs PORT`), then `gatehouse flash` it again",
    "minimal_mode": "it goes back to all of its work after ten healthy minutes; look at its log meanwhile",
    "last_words": "look at `gatehouse logs PORT`; if it comes again, send `gatehouse doctor --bundle FILE`",
    "update_trial": "wait two minutes: it keeps what it runs, or goes back to what ran before",
    "wifi": "wait a little: it tries again and again",
    "broker": "wait a little: it tries again and again",
    "flash": "records that nobody collects fill it: run `gatehouse records`, or the records service",
    "boots": "an older version does not say it: `gatehouse update PORT`",
    # a gateway
    "online": 'is it powered, in its Wi-Fi, at this broker? its light says how far it comes (README, "When it fails")',
    "metrics": "an older version publishes each minute only: wait, and try again; else look at access rules",
    "memory": "fewer locks, or a board with PSRAM; look at what restarted (`restarts`)",
    "restarts": "look at the log around a restart; brown-outs want another power supply",
    "wifi_signal": "move the gateway, or the access point, nearer",
    "subscriptions": "correct the broker's access rules: `gatehouse broker add`, or docs/networks.md",
    "clock": "can it reach a time server (UDP 123)? else any signed command sets its clock",
    "unsigned_unlock": "if nobody needs it, turn it off; a PIN (`gatehouse remote-pin set`) is safer for hubs",
    "insecure_broker": "use TLS: `gatehouse broker init` makes all that is needed",
    "pinned_key": "somebody passes for it, or it was erased; in the latter case provision it again",
    "yours": "`gatehouse gateway own --port PORT`, or `gatehouse issuer import FILE`",
    "answers": "look at its log, and at the broker's access rules for its `cmd` and `rsp`",
    "records_waiting": "collect them: `gatehouse records LOCK`, or the records service",
    "jobs_waiting": "`gatehouse jobs LOCK` lists what waits; it is done when the lock comes near",
    "success": "move the gateway nearer to its locks; `gatehouse doctor LOCK` tells of one",
    "dropped": "somebody floods it, or it is asked for too much: look at who publishes to its topics",
    "locks": "`gatehouse import LOCK` hands the keys of a lock over",
    # a lock
    "served": "hand its keys to a gateway near it: `gatehouse import LOCK`",
    "heard": "its batteries, or the distance: move a gateway nearer; a touch of its keypad wakes it",
    "signal": "move the gateway nearer: within ten metres, without walls of concrete",
    "battery": "change its batteries (all of them, of one kind)",
    "clock_drift": "`gatehouse time sync LOCK`; worn batteries make a clock wrong, too",
    "clock_checked": "the gateway looks at it once a day while its own clock is trusted",
    "zone": "`gatehouse time zone LOCK --zone Europe/Berlin`",
    "remote_unlock": "beside the lock: `gatehouse remote-unlock LOCK --on`",
    "features": "`gatehouse info` or a first command to it fetches them",
    "keys_accepted": "import them again near the lock; if it was reset, pair it anew",
    "failures": "the codes are explained in docs/operations.md; `link` and `not_near` are a matter of distance",
    "bolt": "ask the lock itself: `gatehouse state LOCK`",
    "tamper": "look at the lock: somebody has opened its case",
    # everything
    "broker_reached": 'is it running, and is this its address? docs/networks.md, "Command line"',
    "key_book": "`gatehouse gateway keys`, `gatehouse keys list` show what it holds",
}


@dataclass
class Finding:
    """One row of the page. `about` is the port, gateway or lock."""

    code: str
    severity: str
    finding: str
    about: str = ""
    todo: str = ""  # in place of the advice of its code

    @property
    def advice(self) -> str:
        return "" if self.severity == OK else self.todo or ADVICE[self.code]

    def to_json(self) -> dict:
        return {
            "about": self.about,
            "code": self.code,
            "severity": self.severity,
            "finding": self.finding,
            "advice": self.advice,
        }


@dataclass
class Findings:
    """Findings about one thing, in the order in which they were made."""

    about: str
    rows: list[Finding] = field(default_factory=list)

    def add(self, code: str, severity: str, text: str, todo: str = "") -> None:
        """`code` is one of `ADVICE`; `todo` goes before its advice."""
        if code not in ADVICE or severity not in SEVERITIES:
            raise ValueError("no finding %r of severity %r" % (code, severity))
        self.rows.append(Finding(code, severity, text, self.about, todo))

    def judge(self, code: str, is_good: bool | None, good: str, bad: str, severity: str = ERROR) -> None:
        """In order, or not; None is unknown, which is a note."""
        if is_good is None:
            self.add(code, NOTE, "not known")
        else:
            self.add(code, OK if is_good else severity, good if is_good else bad)


def worst(rows: list[Finding]) -> str:
    """The gravest severity among them; without any, ok."""
    return SEVERITIES[max((SEVERITIES.index(each.severity) for each in rows), default=0)]
