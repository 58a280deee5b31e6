"""What the host tools raise on purpose: a stable code, one clear sentence, and what to do about it."""


class HostError(Exception):
    """`code` is stable (the words of `domain.md` 5.5 where one fits), `todo` says what the user can do. `reason` is the
    word that goes with `refused`, `ttlock` the TTLock number, where there is one."""

    def __init__(self, code: str, text: str, todo: str = "", reason: str = "", ttlock: int | None = None) -> None:
        super().__init__(text)
        self.code = code
        self.todo = todo
        self.reason = reason
        self.ttlock = ttlock

    def line(self) -> str:
        """The one line that a command prints."""
        text = "%s: %s" % (self.code, self)
        return "%s; %s" % (text, self.todo) if self.todo else text

    def to_json(self) -> dict:
        """What `--json` says of it: `ok`, `code` and `msg` always, `todo`, `reason` and `ttlock` where there are."""
        more = {"todo": self.todo, "reason": self.reason, "ttlock": self.ttlock}
        told = {key: value for key, value in more.items() if value not in ("", None)}
        return {"ok": False, "code": self.code, "msg": str(self), **told}


class Unknown(HostError):
    """A request, whose id is `ident`, was sent, and what became of it is not known: it may be done, now or later."""

    def __init__(self, ident: str, text: str, todo: str) -> None:
        super().__init__("outcome_unknown", text, todo)
        self.ident = ident

    def to_json(self) -> dict:
        """Also the request's id."""
        return super().to_json() | {"id": self.ident}


class Interrupted(Unknown):
    """The same, because whoever waits was stopped: Ctrl-C, or the end of the terminal."""


class Pending(HostError):
    """The gateway keeps the request and will carry it out: `ident` names it for `gatehouse jobs` and `cancel`,
    `message` is the gateway's, by which it accepted the request."""

    def __init__(self, message: dict, text: str) -> None:
        self.message = message
        self.ident = str(message.get("id"))
        super().__init__("pending", "%s; the gateway keeps it as %s" % (text, self.ident), "see `gatehouse jobs LOCK`")

    def to_json(self) -> dict:
        """Also the request's id."""
        return super().to_json() | {"id": self.ident}
