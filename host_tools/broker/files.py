"""What a broker and its clients are given besides certificates: mosquitto's configuration and access file, and a piece
of configuration for each identity.

Owns their texts. Two listeners, both with TLS and client certificates, both knowing a client by the name in it:

* the gateways' one also makes that name the client id, and no other client can have it: on the second one client ids
  begin with `gatehouse-`, which no gateway's does. So nobody pushes a gateway off the broker by its id
  (security.md T-GWA-3).
* on the other, one identity may have several connections: `gatehouse monitor` beside `gatehouse unlock`.

A client of another program (Home Assistant) must be told a client id that begins with `gatehouse-`.
"""

import json
from pathlib import Path

from host_tools.broker import rules
from host_tools.broker.authority import Authority, Identity, Plan, write

CLIENT_PREFIX = "gatehouse-"

_CONF = """\
# Written by `gatehouse broker`. Drop it in: /etc/mosquitto/conf.d/, or mosquitto -c FILE.
# {folder} must be readable by the user that mosquitto runs as, and by nobody else.
allow_anonymous false
acl_file {folder}/acl
clientid_prefixes {prefix}
max_packet_size 131072

# Gateways
listener {gateways}{listen}
{common}use_username_as_clientid true

# Controllers and recorders
listener {others}{listen}
{common}"""
_COMMON = """\
cafile {folder}/ca.pem
certfile {folder}/server.pem
keyfile {folder}/server-key.pem
crlfile {folder}/crl.pem
require_certificate true
use_identity_as_username true
tls_version tlsv1.2
"""
# How `gatehouse serve` uses the broker; what is missing is in docs/service.md.
_SERVE = """\
[service]
keys = "records-keys.json"

[broker]
host = {host}
port = {port}
base = {base}
ca = "ca.pem"
cert = "cert.pem"
key = "key.pem"

[database]
url = "sqlite:///records.db"
"""


def write_all(authority: Authority) -> None:
    """Access file and configuration, and what every identity is given. HostError `io`."""
    plan, folder = authority.plan, authority.folder
    write(folder / "broker/acl", rules.access_file(plan.identities, plan.base).encode(), True)
    write(folder / "broker/gatehouse.conf", configuration(plan, folder).encode())
    for identity in plan.identities:
        name, text = _piece(identity, plan)
        write(folder / "identities" / identity.name / name, text.encode())


def configuration(plan: Plan, folder: Path) -> str:
    """The text of mosquitto's configuration."""
    installed = plan.installed or str((folder / "broker").resolve())
    common = _COMMON.format(folder=installed)
    return _CONF.format(
        folder=installed,
        prefix=CLIENT_PREFIX,
        gateways=plan.port,
        others=plan.port + 1,
        listen=" " + plan.listen if plan.listen else "",
        common=common,
    )


def _piece(identity: Identity, plan: Plan) -> tuple[str, str]:
    """(name, text) of the file that says how an identity uses the broker."""
    host = plan.hosts[0]
    if identity.role == "gateway":
        settings = {"mqtt_host": host, "mqtt_port": plan.port, "mqtt_base": plan.base}
        settings |= {"mqtt_ca": "ca.pem", "mqtt_cert": "cert.pem", "mqtt_key": "key.pem"}
        return "settings.json", json.dumps(settings, indent=1) + "\n"
    if identity.role == "service":
        return "serve.toml", _SERVE.format(host=json.dumps(host), port=plan.port + 1, base=json.dumps(plan.base))
    lines: tuple[str, ...] = ("host = %s" % json.dumps(host), "port = %d" % (plan.port + 1))
    lines += ('ca = "ca.pem"', 'cert = "cert.pem"', 'key = "key.pem"')
    return "config.toml", "[brokers.home]\n%s\n" % "\n".join(lines)
