"""What a gateway is before it has settings, and how it gets them: serial console, its key pair, how often it has
started. Owns /data/settings.json and these NVS keys; the table of settings is `settings`.

{"do":"hello"}                 role, id, version, board, why it started, whether there are settings and what is wrong
                               with them, `connection`: where the way to the broker ends (operations.md)
{"do":"settings"}              the settings; of secrets only whether there is one
{"do":"set","settings":{...}}  change some (null removes one); all or nothing; they hold from the next start
{"do":"put","name":"ca",...}   a piece of a certificate or key, or its end -> `path` for mqtt_ca, mqtt_cert, mqtt_key
                               (`certificates.put`)
{"do":"info"}                  what the gateway publishes as `info`
{"do":"health"}                how the board stands: members of `metrics` and `info`, and the flash; also without
                               settings
{"do":"networks"}              the Wi-Fi networks that are heard, the strongest first: `ssid`, `rssi`, `auth` (the
                               number that MicroPython gives to its kind of security, 0: open)
{"do":"forget","mac":"..."}    stop serving a lock
{"do":"own","issuer":"..."}    take an owner, whose key is 64 hex digits -> `public`, the key to seal to; code `owned`
                               when there is another owner (mqtt.md 2)
{"do":"pop"}                   `name` and `pop`: what it shows over Bluetooth in its add window, and the proof of
                               possession that it wants there
{"do":"reset"}                 forget the owner and everything else, and start anew (security.md RST-4)
{"do":"reboot"}                start anew

The console takes requests and gives replies as JSON lines. `board` has nvs_get, nvs_set and nvs_erase.
"""

import gc
import sys

from firmware.gateway.admission import Refusal
from firmware.lib import crypto
from firmware.lib.compat import unload
from firmware.lib.errors import BadRequest, ConfigError
from firmware.system.store import exists
from firmware.version import VERSION

_SPACE = "gatehouse"
_SIGNS = "abcdefghijkmnpqrstuvwxyz23456789"
PATH = "/data/settings.json"
LATE = ("firmware.gateway.settings", "firmware.system.config", "firmware.gateway.certificates")
SECRETS = ("wifi_password", "mqtt_password", "remote_pin")  # never shown again


def table():
    """The Table of `settings`, whose module is let go of: an image that runs does not keep it in memory."""
    from firmware.gateway.settings import TABLE

    unload(LATE)
    return TABLE


def _stored(path):
    """The settings on flash, as this release has them."""
    from firmware.gateway import settings
    from firmware.system import config

    return settings.renewed(config.read(path))


def load(path):
    """The checked settings at `path`. Raises ConfigError."""
    from firmware.gateway import settings

    values = settings.TABLE.check(_stored(path))
    values.ntp_hosts = settings.ntp_hosts(values)
    values.fixed_ip = settings.fixed(values)
    del settings
    unload(LATE)
    gc.collect()  # what stays is built where their table was, not behind the hole
    return values


class Provisioning:
    """`about` returns the members of `info`, or is None before there are settings; `forget(args)` likewise, and
    `connection()`, which tells (word, failures in a row, text). `started()` tells why the board started, `issuers()`
    gives the Issuers, `key()` the gateway's public key; `reset()` begins to forget everything; `changing()` is called
    before settings or a private key go, or take the place of others; `health()` is what a board says of itself,
    `networks()` lists (name, dBm, security), `pop()` gives the proof of possession."""

    def __init__(
        self,
        id,
        reboot,
        path=PATH,
        about=None,
        forget=None,
        started=None,
        connection=None,
        issuers=None,
        key=None,
        reset=None,
        changing=None,
        health=None,
        networks=None,
        pop=None,
    ):
        self._id = id
        self._reboot = reboot
        self._path = path
        self._about = about
        self._forget = forget
        self._started = started
        self._connection = connection
        self._issuers = issuers
        self._key = key
        self._reset = reset
        self._changing = changing
        self._health = health
        self._networks = networks
        self._pop = pop
        self.is_rebooting = False

    def faults(self):
        """What keeps the gateway from working, as a list of texts that name keys."""
        try:
            given = _stored(self._path)
            return table().faults(given)
        except ConfigError as err:
            return [str(err)]

    def handle(self, request):
        """One request -> reply. Raises FirmwareError, which the console reports."""
        do = request.get("do")
        if do == "hello":
            faults = self.faults()
            reply = {"ok": True, "role": "gateway", "id": self._id, "version": VERSION, "board": sys.platform}
            reply["provisioned"] = not faults
            reply["faults"] = faults
            if self._started:
                reply["restart"] = self._started()
            if self._issuers:
                reply["owner"] = self._issuers().has_owner
            if self.is_rebooting:  # what it says is not yet of the settings that were written
                reply["rebooting"] = True
            connection = self._connection and self._connection()
            if connection:
                state, failures, text = connection
                reply["connection"] = {"state": state, "failures": failures, "msg": text}
            return reply
        if do == "settings":
            return {"ok": True, "settings": self._shown()}
        if self.is_rebooting and do in ("set", "own", "put", "pop"):
            raise Refusal("busy", "the gateway starts anew")
        if do == "set":
            from firmware.system import config

            if self._changing and exists(self._path):
                self._changing()  # passwords and keys of before stay on flash until it has been swept
            changes = request.get("settings")
            if isinstance(changes, dict) and changes.get("ntp_hosts") is not None:
                changes.setdefault("ntp_host", None)  # of an older release
            config.write(self._path, table(), changes)
            self._certificates().tidy(self._folder, config.read(self._path), self._changing)
            unload(LATE)
            return {"ok": True}
        if do == "put":
            try:
                return self._certificates().put(self._folder, request, self._changing)
            finally:
                unload(LATE)
        if do == "reboot":
            self.is_rebooting = True
            self._reboot()
            return {"ok": True}
        if do == "info" and self._about:
            return {"ok": True, "info": self._about()}
        if do == "health" and self._health:
            return {"ok": True, "health": self._health()}
        if do == "networks" and self._networks:
            found = [{"ssid": ssid, "rssi": dbm, "auth": auth} for ssid, dbm, auth in self._networks()]
            return {"ok": True, "networks": found}
        if do == "forget" and self._forget:
            self._forget({"mac": request.get("mac")})
            return {"ok": True}
        if do == "pop" and self._pop:
            from firmware.lib import protocomm

            unload(("firmware.lib.protocomm", "firmware.lib.protobuf"))
            return {"ok": True, "name": protocomm.device_name(self._id), "pop": self._pop()}
        if do == "own" and self._issuers:
            self._issuers().own(hex_key(request.get("issuer")))
            return {"ok": True, "public": self._key().hex()}
        if do == "reset" and self._reset:
            self.is_rebooting = True
            self._reset()
            return {"ok": True}
        raise BadRequest("no such request")

    def is_begun(self):
        """True while nothing is wrong with the settings but that some are missing."""
        return all(fault.endswith(" is missing") for fault in self.faults())

    def keep_wifi(self, ssid, password):
        """Store a network alone, as phones give it; others may still be missing. Raises ConfigError."""
        from firmware.system import config

        if self._changing and exists(self._path):
            self._changing()
        config.write(self._path, table(), {"wifi_ssid": ssid, "wifi_password": password}, True)
        unload(LATE)

    def _certificates(self):
        from firmware.gateway import certificates

        return certificates

    @property
    def _folder(self):
        return self._path[: self._path.rindex("/")]

    def _shown(self):
        from firmware.system import config

        values = dict(config.read(self._path))
        unload(LATE)
        for name in SECRETS:
            if name in values:
                values[name] = bool(values[name])
        return values


def hex_key(text):
    """64 hex digits -> the 32 bytes of an issuer's key. Raises BadRequest."""
    if isinstance(text, str) and len(text) == 64 and all(c in "0123456789abcdef" for c in text):
        return bytes.fromhex(text)
    raise BadRequest("the key must be 64 hex digits")


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
        unload(("firmware.lib.x25519",))
        board.nvs_set(_SPACE, "x25519_public", public)
    return secret, public


def pop(board):
    """The proof of possession that the add window wants: 16 signs, 80 random bits, of this board until it is reset.
    Security 1 lets who plays the gateway try them at home, so they are more than a person would guess through
    (security.md 3.3)."""
    kept = board.nvs_get(_SPACE, "pop")
    if kept is None or len(kept) != 16:
        kept = "".join(_SIGNS[octet & 31] for octet in crypto.new_key(16)).encode()
        board.nvs_set(_SPACE, "pop", kept)
    return kept.decode()


def boot_number(board):
    """How often this board has started, this time included."""
    stored = board.nvs_get(_SPACE, "boot")
    number = (int.from_bytes(stored, "big") if stored else 0) + 1
    board.nvs_set(_SPACE, "boot", number.to_bytes(4, "big"))
    return number


def authority(path, key="mqtt_ca"):
    """The DER file at `path`, of the setting `key`, or None without a path. Raises ConfigError."""
    if not path:
        return None
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError:
        raise ConfigError("%s names no readable file" % key)


def identity(values):
    """(certificate, key) with which the gateway proves itself to its broker, or None. Raises ConfigError."""
    if not values.mqtt_cert:
        return None
    return authority(values.mqtt_cert, "mqtt_cert"), authority(values.mqtt_key, "mqtt_key")
