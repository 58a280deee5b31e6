"""A site's broker as a house has one: TLS, an identity for each client, and, where the broker can, access rules.

Owns the folder that `gatehouse broker init` makes, for one site, and what each end is told of it: mosquitto its
configuration, the embedded broker one of its own (it knows TLS and logins, neither client certificates nor access
rules), a gateway's board its settings and files, a tool its piece of configuration. Leaves running them to `broker`.
"""

import hashlib
import json
import secrets
import subprocess
from pathlib import Path

from host_tools.boards import board_files
from host_tools.broker import files
from host_tools.broker.authority import Authority, Plan, write
from host_tools.gateway import brokers, tls
from host_tools.sim.board.interpreter import command

NAME = "broker.home"  # as gateways call it; by TLS, rustls takes none that is called by its address
OWNER, HUB, RECORDER = "owner", "homeassistant", "recorder"
_TOOLS = {OWNER: "controller", HUB: "controller", RECORDER: "recorder"}

_EMBEDDED = """\
id = 0
[router]
id = 0
max_connections = 1000
max_outgoing_packet_count = 200
max_segment_size = 104857600
max_segment_count = 10
"""
_LISTENER = """
[v4.{number}]
name = "v4-{number}"
listen = "{host}:{port}"
next_connection_delay_ms = 1
[v4.{number}.connections]
connection_timeout_ms = 60000
max_payload_size = {max_payload}
max_inflight_count = 100
dynamic_filters = true
[v4.{number}.connections.auth]
{logins}
[v4.{number}.tls]
certpath = {certificate}
keypath = {key}
"""


class House:
    """One site's. `port` is the gateways', the next one everybody else's."""

    def __init__(self, folder: Path, kind: str, host: str, port: int, gateways: list[str]) -> None:
        self.folder = folder
        self.port = port
        self._host = host
        self._has_rules = kind == "mosquitto"
        wanted = [(each, "gateway") for each in gateways] + list(_TOOLS.items())
        plan = Plan([host, NAME], port, listen=host)
        files.write_all(Authority.create(folder, plan, wanted))
        self._passwords = {} if self._has_rules else {name: secrets.token_urlsafe(24) for name, _ in wanted}
        for name in self._passwords.keys() & _TOOLS.keys():
            place = self._of(name)
            write(place / "password", self._passwords[name].encode(), True)
            text = (place / "config.toml").read_text()
            write(place / "config.toml", (text + 'user = "%s"\npassword_file = "password"\n' % name).encode())

    @property
    def words(self) -> str:
        """What a client meets here."""
        if self._has_rules:
            return "TLS, a certificate for each client, access rules"
        return "TLS, a login for each client, no access rules"

    def config(self, name: str = OWNER) -> Path:
        """The configuration of one who uses `gatehouse` here, for GATEHOUSE_CONFIG."""
        return self._of(name) / "config.toml"

    def broker(self, name: str = OWNER) -> brokers.Broker:
        """The same for a program."""
        place = self._of(name)
        identity = tls.Tls(*(str(place / part) for part in ("ca.pem", "cert.pem", "key.pem")))
        return brokers.Broker(self._host, self.port + 1, identity, *self._login(name))

    def stranger(self) -> brokers.Broker:
        """What somebody has who knows where the broker is, and whom to trust, and is nobody there."""
        return brokers.Broker(self._host, self.port + 1, tls.Tls(str(self.folder / "ca/ca.pem")))

    def board(self, gateway: str) -> tuple[dict, dict[str, bytes]]:
        """(settings, files by their path) of a gateway's board, as `gatehouse provision --identity` brings them."""
        place = self._of(gateway)
        settings = json.loads((place / "settings.json").read_text())
        settings = board_files.located(settings, place) | {"mqtt_host": NAME}
        made = board_files.read(settings)
        named = {key: _path(key, content) for key, content in made.items()}
        user, password = self._login(gateway)
        settings |= {"mqtt_user": user, "mqtt_password": password} if user else {}
        return settings | named, {named[key]: content for key, content in made.items()}

    def mosquitto(self) -> str:
        """The text of mosquitto's configuration, as `gatehouse broker init` made it."""
        return (self.folder / "broker/gatehouse.conf").read_text()

    def embedded(self, max_payload: int) -> str:
        """The text of the embedded broker's configuration."""
        logins = "\n".join("%s = %s" % (json.dumps(name), json.dumps(word)) for name, word in self._passwords.items())
        text = _EMBEDDED
        for number, port in enumerate((self.port, self.port + 1), 1):
            text += _LISTENER.format(
                number=number,
                host=self._host,
                port=port,
                max_payload=max_payload,
                logins=logins,
                certificate=json.dumps(str(self.folder / "broker/server.pem")),
                key=json.dumps(str(self.folder / "broker/server-key.pem")),
            )
        return text

    def _of(self, name: str) -> Path:
        return self.folder / "identities" / name

    def _login(self, name: str) -> tuple[str | None, str | None]:
        return (name, self._passwords[name]) if name in self._passwords else (None, None)


def _path(key: str, content: bytes) -> str:
    """As a board names the file (`firmware/gateway/certificates.py`)."""
    return "/data/mqtt_%s-%s.der" % (board_files.KEYS[key], hashlib.sha256(content).hexdigest()[:8])


def has_tls() -> bool:
    """Whether the boards of this computer's sites have TLS: a MicroPython may be built without."""
    done = subprocess.run(command(None, "-c", "import ssl; ssl.SSLContext"), capture_output=True, check=False)
    return done.returncode == 0
