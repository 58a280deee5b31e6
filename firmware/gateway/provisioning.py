"""What a gateway is before it has settings, and how it gets them: serial console, the table of the owner's settings,
its key pair, how often it has started. Owns /data/settings.json and these NVS keys.

{"do":"hello"}                 role, id, version, why it started, whether there are settings and what is wrong with them
{"do":"settings"}              the settings; of secrets only whether there is one
{"do":"set","settings":{...}}  change some (null removes one); all or nothing; they hold from the next start
{"do":"info"}                  what the gateway publishes as `info`
{"do":"forget","mac":"..."}    stop serving a lock
{"do":"reboot"}                start anew

The console takes requests and gives replies as JSON lines. `board` has nvs_get, nvs_set and nvs_erase.
"""

from firmware.lib import crypto
from firmware.lib.errors import BadRequest, ConfigError
from firmware.system import config
from firmware.system.config import REQUIRED, Setting, Table, choice, flag, integer, text
from firmware.version import VERSION

_SPACE = "gatehouse"
PATH = "/data/settings.json"
SECRETS = ("wifi_password", "mqtt_password")  # never shown again


def _base(value):
    fault = text(1, 32)(value)
    if not fault and any(sign in value for sign in "+#/\0 "):
        fault = "has a sign that a topic level may not have"
    return fault


def _together(values):
    if not values["mqtt_ca"] and not values["insecure_broker"]:
        return ["mqtt_ca is missing, and insecure_broker does not allow a plaintext broker"]
    return []


def table():
    """The Table. A function, so that an image that runs does not keep it in memory."""
    return Table(
        (
            Setting("wifi_ssid", REQUIRED, text(1, 32)),
            Setting("wifi_password", "", text(0, 64)),
            Setting("mqtt_host", REQUIRED, text(1, 128)),
            Setting("mqtt_port", 1883, integer(1, 65535)),
            Setting("mqtt_user", "", text()),
            Setting("mqtt_password", "", text()),
            Setting("mqtt_base", "gatehouse", _base),
            Setting("mqtt_ca", "", text(), "path of a DER file"),
            Setting("insecure_broker", False, flag),
            Setting("keepalive_s", 30, integer(4, 3600), "s"),
            Setting("ntp_host", "pool.ntp.org", text(1, 128)),
            Setting("ntp_port", 123, integer(1, 65535)),
            Setting("name", "", text(0, 48)),
            Setting("unsigned_unlock", False, flag),
            Setting("records_ack", "consumer", choice("puback", "consumer")),
            Setting("records_clear", True, flag),
            Setting("presence_s", 1800, integer(5, 86400), "s"),
            Setting("expiry_s", 10, integer(1, 30), "s"),
            Setting("unlock_per_min", 6, integer(1, 10000)),
            Setting("unlock_per_h", 60, integer(1, 100000)),
            Setting("other_per_min", 30, integer(1, 10000)),
            Setting("clock_max_drift_s", 30, integer(2, 3600), "s"),
            Setting("linger_ms", 2000, integer(0, 10000), "ms"),
        ),
        _together,
    )


class Provisioning:
    """`about` returns the members of `info`, or is None before there are settings; `forget(args)` likewise. `started()`
    tells why the board started."""

    def __init__(self, id, reboot, path=PATH, about=None, forget=None, started=None):
        self._id = id
        self._reboot = reboot
        self._path = path
        self._about = about
        self._forget = forget
        self._started = started

    def faults(self):
        """What keeps the gateway from working, as a list of texts that name keys."""
        try:
            return table().faults(config.read(self._path))
        except ConfigError as err:
            return [str(err)]

    def handle(self, request):
        """One request -> reply. Raises FirmwareError, which the console reports."""
        do = request.get("do")
        if do == "hello":
            faults = self.faults()
            reply = {"ok": True, "role": "gateway", "id": self._id, "version": VERSION}
            reply["provisioned"] = not faults
            reply["faults"] = faults
            if self._started:
                reply["restart"] = self._started()
            return reply
        if do == "settings":
            return {"ok": True, "settings": self._shown()}
        if do == "set":
            config.write(self._path, table(), request.get("settings"))
            return {"ok": True}
        if do == "reboot":
            self._reboot()
            return {"ok": True}
        if do == "info" and self._about:
            return {"ok": True, "info": self._about()}
        if do == "forget" and self._forget:
            self._forget({"mac": request.get("mac")})
            return {"ok": True}
        raise BadRequest("no such request")

    def _shown(self):
        values = dict(config.read(self._path))
        for name in SECRETS:
            if name in values:
                values[name] = bool(values[name])
        return values


def own_key(board):
    """(secret, public) of this gateway, made at the first start and kept in NVS."""
    secret = board.nvs_get(_SPACE, "x25519")
    if secret is None or len(secret) != 32:
        secret = crypto.new_key(32)
        board.nvs_set(_SPACE, "x25519", secret)
        board.nvs_erase(_SPACE, "x25519_public")
    public = board.nvs_get(_SPACE, "x25519_public")
    if public is None or len(public) != 32:
        from firmware.lib import x25519

        public = x25519.public_key(secret)
        board.nvs_set(_SPACE, "x25519_public", public)
    return secret, public


def boot_number(board):
    """How often this board has started, this time included."""
    stored = board.nvs_get(_SPACE, "boot")
    number = (int.from_bytes(stored, "big") if stored else 0) + 1
    board.nvs_set(_SPACE, "boot", number.to_bytes(4, "big"))
    return number


def authority(path):
    """The DER certificate of the owner's authority, or None without a path. Raises ConfigError."""
    if not path:
        return None
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError:
        raise ConfigError("mqtt_ca names no readable file")
