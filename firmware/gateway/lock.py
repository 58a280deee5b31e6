"""One known lock: its keys and what was learned of it (kept on flash), and its state as last received (not kept).

Owns the file format; who may use the keys is decided elsewhere. Secrets leave this object only into a session.
"""

import struct

from firmware.gateway.operations.arguments import number, octets
from firmware.lib.compat import const, is_shown, row, unload
from firmware.lib.errors import BadRequest
from firmware.lib.messages import session_client

LOCKED = session_client.STATE_LOCKED
UNLOCKED = session_client.STATE_UNLOCKED
UNKNOWN = session_client.STATE_UNKNOWN
WORDS = ("LOCKED", "UNLOCKED", None, "LOCKED")  # by state byte of 0x14; dead-locked is a way of being locked
DOORS = ("open", "closed", None)
OWN_MODEL = "GATEHOUSE-"  # what device info item 1 of our own lock begins with (lock-ble-commands.md 8.1)

# Feature bits (domain.md 3.12) by what needs them: an operation or the word it begins with, recurring hours, the
# remote-unlock switch, a setting
_FEATURES = """
passcode 0
card 1
fingerprint 2
autolock 4
lock 8
passcode_display 9
unlock 10
emergency 10
freeze 11
unfreeze 11
remote_unlock 14
sound 15
passage 22
lamp_s 25
tamper 28
reset_button 29
privacy 30
hours 34
direction 36
fob 41
volume 43
language 43
passage_auto_unlock 46
door 50
door_alarm_s 51
"""

_UNLOCK = "10"
_NO_UNLOCK = const(66)  # no unlock by app and gateway (hardware-facts.md F74)
_CHALLENGES = const(64)
_MAX_OFFSET_MIN = const(16 * 60)
_UNKNOWN = const(0xFFFF)  # as in lib/pace
_KEPT = "name admin_ps unlock_key scene group org model hardware firmware verified epoch addr_type clock_s"
_ADDED = "handles ekeys flag_pos zone said doubts has_windows servers_s"  # older files lack them
_ENOUGH = const(2)  # contradictions in a row, after which 0x14 is not asked for the state any more


class Lock:
    """`address` is six bytes in printed order, `aes` 16 bytes. What has its default costs a known lock no memory."""

    # kept on flash
    name = ""
    admin_ps = unlock_key = 0
    scene, group, org = 2, 1, 1
    zone: str | None = None  # the rule of its time zone (lib/zone); None: not known
    shown = b""  # which offset its clock showed when (lib/shown)
    features: int | None = None  # a mask
    model = hardware = firmware = ""
    verified = False  # the lock has accepted these keys
    epoch = 0
    addr_type = 0
    clock_s = 0  # Unix time of the last clock check; 0: none yet, -1: it has lost its power since
    servers_s = 0  # how far time servers alone have moved its clock
    pace = b""  # how fast its clock goes (lib/pace)
    handles: tuple | None = None  # GATT handles that did: to write, of notifications, of their CCCD
    ekeys: dict | None = None  # who has one and what each may, as `operations.ekeys` keeps it
    flag_pos = 0  # of the last reset of all ekeys, which the lock asks for
    said = 0  # which states 0x14 has told: bit n is state n
    doubts = 0  # how often in a row 0x14 contradicted an acknowledged LOCK; an acknowledged UNLOCK: negative
    has_windows: bool | None = None  # hours in which it stays open; None: not known
    kept: bytes | None = None  # fingerprint of what stands on flash of this object
    # received, not kept; times are seconds of uptime
    advert: bytes | None = None  # manufacturer data received last
    tells = False  # that advertisement says how the bolt stands
    seen_s: int | None = None
    told_s: int | None = None  # when the state was told last, by `src`
    opened_s: int | None = None  # since when it shows as unlocked; None also after the alarm about it
    link_s: int | None = None  # of our last link
    rise_s: int | None = None  # since when it advertises a battery level that is not believed yet
    command: tuple | None = None  # (state, second) of the last movement that it acknowledged
    rssi_dbm: int | None = None
    state: int | None = None  # state byte, or None before the first news
    jammed = False
    door: str | None = None
    battery: int | None = None
    switch: bool | None = None  # remote-unlock switch when it was read last
    auto_lock_s: int | None = None
    settings: dict = {}  # what is known of its switches and numbers, by name; replaced, never changed in place
    tampered: bool | None = None  # the last tamper alarm is younger than the last unlock; None: not known
    has_records: bool | None = None  # unread ones, as it advertises
    last: dict | None = None
    src: str | None = None  # who told the state: "command", "query", "push", "advert", "record"
    seq = 0
    looked_s: int | None = None  # second of uptime up to which `servers_s` has faded
    turn_s: int | None = None  # when its offset changes next, seen from the last clock check
    _challenges: bytearray | None = None  # the numbers that it let us answer last, four bytes each
    _next_challenge = 0
    _operation = 0

    def __init__(self, address, aes):
        self.address = address
        self.aes = aes

    @property
    def id(self):
        """12 hex digits."""
        return self.address.hex()

    @property
    def is_own(self):
        """True for our own lock image, known by its device information."""
        return self.model.startswith(OWN_MODEL)

    @property
    def shown_min(self):
        """The offset that its clock was seen to show last, in minutes ahead of UTC, or None."""
        if not self.shown:
            return None
        from firmware.lib import shown

        return shown.last_offset(self.shown)

    @property
    def drift(self):
        """[seconds a day that its clock gains, how uncertain that is], or None."""
        tenths, error = struct.unpack(">iH", self.pace[6:12] or b"\0\0\0\0\xff\xff")
        return None if error == _UNKNOWN else [tenths / 10, error / 10]

    @property
    def pin(self):
        """The scene that its answers and advertisements must carry: known once the lock has proven itself
        (security.md DWN-1)."""
        return self.scene if self.verified else None

    @property
    def is_asked_in_vain(self):
        """0x14 says nothing of this lock's bolt: it contradicted what had just been done (hardware-facts.md F33)."""
        return abs(self.doubts) >= _ENOUGH

    @property
    def may_prove(self):
        """What 0x14 says is worth believing: it has told both states, and no constant does (hardware-facts.md F33)."""
        return not self.doubts and self.said & 3 == 3

    def next_operation(self, unix_s):
        """The number of the next movement that is asked of the lock: the time, and another one each time."""
        self._operation = max(unix_s, self._operation + 1)
        return self._operation

    def is_new_challenge(self, number):
        """Whether the lock has not used this number in its last 64 challenges, to which it belongs from now on."""
        octets = number.to_bytes(4, "big")
        if self._challenges is None:
            self._challenges = bytearray(4 * _CHALLENGES)  # all 0, which is no challenge
        ring = self._challenges
        for at in range(0, len(ring), 4):
            if ring[at : at + 4] == octets:
                return False
        at = 4 * self._next_challenge
        ring[at : at + 4] = octets
        self._next_challenge = (self._next_challenge + 1) % _CHALLENGES
        return True

    def lacks(self, what):
        """True when the lock has told that it has none of `what` (see _FEATURES); False while that is not known."""
        bit = row(_FEATURES, what)
        if bit is None or self.features is None:
            return False
        return not self.features >> int(bit) & 1 or bool(bit == _UNLOCK and self.features >> _NO_UNLOCK & 1)

    def word(self):
        """LOCKED, UNLOCKED, JAMMED or None, as in `…/state`."""
        if self.jammed:
            return "JAMMED"
        return None if self.state is None else WORDS[self.state]

    def summary(self):
        """What the lock is and how it stands, without secrets: members of `info`, `import` and a diagnosis."""
        return {
            "model": self.model or None,
            "hardware": self.hardware or None,
            "firmware": self.firmware or None,
            "features": None if self.features is None else "%X" % self.features,
            "verified": self.verified,
            "admin": bool(self.admin_ps),
            "battery": self.battery,
            "lock": self.word(),
        }

    def as_dict(self):
        """What is kept on flash."""
        kept = {key: getattr(self, key) for key in _KEPT.split(" ")}
        for key in _ADDED.split(" "):
            kept[key] = getattr(self, key)
        kept["mac"] = self.id
        kept["shown"] = self.shown.hex()
        kept["pace"] = self.pace.hex()
        kept["aes"] = self.aes.hex()
        kept["features"] = None if self.features is None else "%x" % self.features
        return kept


def from_dict(kept):
    """A Lock from what `as_dict` gave. Raises KeyError, ValueError for a file of another make."""
    lock = Lock(bytes.fromhex(kept["mac"]), bytes.fromhex(kept["aes"]))
    for key in _KEPT.split(" "):
        _set(lock, key, kept[key])
    for key in _ADDED.split(" "):
        _set(lock, key, kept.get(key, getattr(Lock, key)))
    if kept["features"] is not None:
        lock.features = int(kept["features"], 16)
    _set(lock, "shown", bytes.fromhex(kept.get("shown", "")))
    _set(lock, "pace", bytes.fromhex(kept.get("pace", "")))
    if "zone" not in kept and kept.get("utc_offset_min"):  # of the first release, where 0 was also what nobody had said
        lock.zone = zone_of(kept)
    return lock


def carry(known, lock):
    """Take over what was learned of `known` into a `lock` with the same keys, except what an import says itself."""
    for key in (_KEPT + " " + _ADDED).split(" "):
        if key not in ("name", "admin_ps", "unlock_key", "zone", "scene", "group", "org"):
            _set(lock, key, getattr(known, key))
    lock.features = known.features


def _set(lock, key, value):
    if value != getattr(Lock, key):
        setattr(lock, key, value)


def address_of(args):
    """Argument `mac` (with or without colons) -> six bytes. Raises BadRequest."""
    return octets(args, "mac", 6)


def zone_of(args):
    """`zone`, a rule, or `utc_offset_min`, a plain offset -> the rule, None without either. Raises BadRequest."""
    if args.get("zone") is None and args.get("utc_offset_min") is None:
        return None
    from firmware.lib import zone

    if args.get("zone") is None:
        return zone.plain(number(args, "utc_offset_min", -_MAX_OFFSET_MIN, _MAX_OFFSET_MIN))
    if args.get("utc_offset_min") is not None:
        raise BadRequest("zone or utc_offset_min, not both")
    try:
        zone.parse(args["zone"])
    finally:
        unload(("firmware.lib.zone",))
    return args["zone"]


def from_bundle(args):
    """Arguments of `import` -> Lock. Raises BadRequest that names the key and never the value."""
    known = ("mac", "aes", "admin_ps", "unlock_key", "scene", "group", "org", "name", "zone", "utc_offset_min")
    for key in args:
        if key not in known:
            raise BadRequest("unknown argument in the bundle")
    lock = Lock(address_of(args), octets(args, "aes", 16))
    lock.admin_ps = number(args, "admin_ps", 0, 0xFFFFFFFF)
    lock.unlock_key = number(args, "unlock_key", 0, 0xFFFFFFFF)
    _set(lock, "scene", number(args, "scene", 0, 255, lock.scene))
    _set(lock, "group", number(args, "group", 0, 0xFFFF, lock.group))
    _set(lock, "org", number(args, "org", 0, 0xFFFF, lock.org))
    _set(lock, "zone", zone_of(args))
    name = args.get("name", "")
    if not isinstance(name, str) or len(name.encode()) > 48:
        raise BadRequest("name must be a text of at most 48 bytes")
    if not is_shown(name):
        raise BadRequest("name must hold no control characters and no bidi marks")
    _set(lock, "name", name)
    return lock
