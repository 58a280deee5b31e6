"""The owner's settings of a gateway: the table of keys, each with its default, unit and what it may be. What can never
work is refused before it is written: the board and the host tool ask this table. Nothing keeps it in memory
(`provisioning.table`).

Wi-Fi: a name of 1 to 32 octets (IEEE 802.11), a passphrase of 8 to 63 or 64 hex digits (WPA2, WPA3). Names of hosts:
RFC 1123, and `_`, which home networks use. Whether 127.0.0.0/8 may be a broker is a question of the board: a simulated
one shares its address with the host.
"""

import sys

from firmware.lib.compat import const, is_shown, is_whole
from firmware.system.config import REQUIRED, Setting, Table, choice, flag, integer, text

# Of three houses, so that no one of them has two votes
NTP_HOSTS = ["pool.ntp.org", "time.cloudflare.com", "time.google.com"]
_MAX_NTP = const(5)
_MAX_PASSWORD = const(512)
_MIN_PRESENCE_S = const(600)  # locks advertise in bursts minutes apart (hardware-facts.md F4)
_BLANKS = " \t\r\n"
_DIGITS = "0123456789"
_HEX = "0123456789abcdefABCDEF"
_NO_IP6 = "is no IPv6 address; a port has a setting of its own"


def plain(low, high):
    """Check: `low` to `high` bytes, no control character, no blank at an end."""

    def check(value):
        fault = text(low, high)(value)
        if not fault and value.strip(_BLANKS) != value:
            return "begins or ends with a blank"
        return fault or _controls(value)

    return check


def _controls(value):
    for sign in value:
        if sign < " " or sign == "\x7f":
            return "has a control character"
    return None


def _wifi_password(value):
    if value == "":
        return None
    fault = text(8, 64)(value)
    if not fault and len(value.encode()) == 64 and not all(sign in _HEX for sign in value):
        fault = "has 64 bytes, and is no key of 64 hex digits"
    return fault or _controls(value)


def _secret(value):
    return text(0, _MAX_PASSWORD)(value) or _controls(value)


def _name(value):
    fault = plain(0, 48)(value)
    return fault or (None if is_shown(value) else "has a bidi mark, or another sign that nobody sees")


def _base(value):
    fault = plain(1, 32)(value) or _name(value)
    if not fault and (value[0] == "$" or any(sign in value for sign in "+#/ ")):
        fault = "has a sign that a topic level may not have"
    return fault


def _prefix(value):
    """Check: the first levels of Home Assistant's topics."""
    fault = plain(1, 32)(value) or _name(value)
    if not fault and (not all(value.split("/")) or any(sign in value for sign in "+# $")):
        fault = "is no beginning of topics such as homeassistant"
    return fault


def _file(value):
    """A path on the board."""
    fault = plain(0, 128)(value)
    if value and not fault:
        try:
            with open(value, "rb") as file:
                if file.read(1) != b"\x30":
                    fault = "names a file that is no DER"
        except OSError:
            fault = "names no readable file"
    return fault


def host(value, is_ip6=True):
    """Check: a name or an address that a gateway can call."""
    fault = plain(1, 253)(value)
    if fault:
        return fault
    if "/" in value or "@" in value:
        return "is a URL: write the name or the address alone"
    if value[0] == "[" and value[-1] == "]" and ":" in value:
        value = value[1:-1]
    if ":" in value:
        return _ip6(value) if is_ip6 else "is neither a name nor an IPv4 address"
    name = value[:-1] if value[-1] == "." else value
    if name.lower() == "localhost":
        return "means the gateway itself"
    labels = name.split(".")
    if all(label.isdigit() for label in labels):
        return _ip4(labels)
    for label in labels:
        if not 1 <= len(label) <= 63 or label[0] == "-" or label[-1] == "-":
            return "is no name of a host"
        for sign in label:
            if not ("a" <= sign.lower() <= "z" or "0" <= sign <= "9" or sign in "-_"):
                return "has a sign that no name of a host has"
    return None


def _ip4(parts):
    if len(parts) != 4 or any(len(part) > 3 or int(part) > 255 or (part[0] == "0" and part != "0") for part in parts):
        return "is no IPv4 address: four numbers from 0 to 255"
    first = int(parts[0])
    if first == 127 and sys.platform == "esp32":
        return "means the gateway itself"
    if first == 0 or first >= 224:
        return "is the address of no single host"
    return None


def _own_address(value):
    """Check: an address of one's own, with the size of its network: `192.168.1.20/24`."""
    if value == "":
        return None
    fault = plain(1, 18)(value)
    if fault:
        return fault
    address, _, bits = value.partition("/")
    if not bits.isdigit() or len(bits) > 2 or bits[0] == "0" or not 8 <= int(bits) <= 30:
        return "is no address with the size of its network, such as 192.168.1.20/24"
    fault = _ip4(address.split(".")) if all(part.isdigit() for part in address.split(".")) else "is no IPv4 address"
    if fault:
        return fault
    rest = _number(address) & ((1 << 32 - int(bits)) - 1)
    return "is the address of no single host" if rest in (0, (1 << 32 - int(bits)) - 1) else None


def _neighbour(value):
    if value == "":
        return None
    fault = plain(1, 15)(value)
    if fault:
        return fault
    labels = value.split(".")
    return _ip4(labels) if all(label.isdigit() for label in labels) else "is no IPv4 address"


def _number(address):
    number = 0
    for part in address.split("."):
        number = number << 8 | int(part)
    return number


def fixed(values):
    """(address, mask, router, name server) of checked settings, or None: by DHCP."""
    if not values.ip_address:
        return None
    address, _, bits = values.ip_address.partition("/")
    mask = (1 << 32) - (1 << 32 - int(bits))
    mask_text = ".".join(str(mask >> shift & 255) for shift in (24, 16, 8, 0))
    return address, mask_text, values.ip_router, values.ip_dns or values.ip_router


def _ip6(value):
    if sys.platform == "esp32":  # its `connect` looks addresses up as AF_INET (MicroPython 1.25 to 1.28)
        return "is an IPv6 address, and MicroPython reaches IPv4 only from this board"
    head: list = []
    gap, tail = "", value
    if "::" in value:
        first, gap, tail = value.partition("::")
        head = first.split(":") if first else []
    rest = tail.split(":") if tail else []
    missing = 8 - len(head) - len(rest)
    if missing < 0 or (missing == 0) == bool(gap):
        return _NO_IP6
    numbers = []
    for group in head + ["0"] * missing + rest:
        if not 1 <= len(group) <= 4 or any(sign not in _HEX for sign in group):
            return _NO_IP6
        numbers.append(int(group, 16))
    if not any(numbers[:7]) and numbers[7] <= 1:
        return "means the gateway itself"
    if numbers[0] >= 0xFF00:
        return "is the address of no single host"
    if numbers[0] & 0xFFC0 == 0xFE80:
        return "is a link-local address, which says no network"
    return None


def _ntp_hosts(value):
    """Check: a list of time servers, each perhaps with `:port`. Two cannot be outvoted by one."""
    if not isinstance(value, (list, tuple)) or not 2 <= len(value) <= _MAX_NTP:
        return "is no list of 2 to %d time servers, most of which must agree" % _MAX_NTP
    names = []
    for each in value:
        fault = plain(1, 259)(each)
        if fault:
            return fault
        name, colon, port = each.partition(":")
        is_number = 1 <= len(port) <= 5 and all("0" <= sign <= "9" for sign in port)
        if colon and not (is_number and 0 < int(port) < 65536):
            return "has a port that is none"
        fault = host(name, False)
        if fault:
            return fault
        if each.lower() in names:
            return "names a server twice"
        names.append(each.lower())
    return None


def _old_ntp_host(value):
    return None if value == "" else host(value, False)


def renewed(given):
    """Settings as they are stored -> the same without what an older release allowed: a presence time that is too short
    now is the shortest."""
    if is_whole(given.get("presence_s"), 5, _MIN_PRESENCE_S):
        given["presence_s"] = _MIN_PRESENCE_S
    return given


def ntp_hosts(values):
    """The time servers of checked settings. `ntp_host` is of the first releases, which asked one alone: it comes first,
    with two of the usual ones beside."""
    if not values.ntp_host:
        return values.ntp_hosts
    return [values.ntp_host] + [each for each in NTP_HOSTS if each != values.ntp_host][:2]


def _pin(value):
    if value == "":
        return None
    is_right = isinstance(value, str) and 4 <= len(value) <= 8 and all(sign in _DIGITS for sign in value)
    return None if is_right else "is not 4 to 8 digits"


def _presence(value):
    fault = integer(_MIN_PRESENCE_S, 86400)(value)
    if is_whole(value, 0, _MIN_PRESENCE_S - 1):
        fault += ": a lock that is near may be silent for ten minutes"
    return fault


def _together(values):
    faults = []
    if not values["mqtt_ca"] and not values["insecure_broker"]:
        faults.append("mqtt_ca is missing, and insecure_broker does not allow a plaintext broker")
    if bool(values["mqtt_cert"]) != bool(values["mqtt_key"]):
        faults.append("mqtt_cert and mqtt_key belong together")
    if values["mqtt_cert"] and not values["mqtt_ca"]:
        faults.append("mqtt_cert needs mqtt_ca")
    if values["mqtt_password"] and not values["mqtt_user"]:
        faults.append("mqtt_password needs mqtt_user")
    if bool(values["ip_address"]) != bool(values["ip_router"]):
        faults.append("ip_address and ip_router belong together")
    elif values["ip_address"]:
        address, _, bits = values["ip_address"].partition("/")
        host_bits = 32 - int(bits)
        own, router = _number(address), _number(values["ip_router"])
        if own == router or own >> host_bits != router >> host_bits:
            faults.append("ip_router is no other address of the network of ip_address")
    elif values["ip_dns"]:
        faults.append("ip_dns needs ip_address")
    if values["remote_pin"] and not values["mqtt_ca"]:
        faults.append("remote_pin needs mqtt_ca: over a plaintext broker anyone on the network could read the PIN")
    if values["remote_pin"] and values["unsigned_unlock"]:
        faults.append("remote_pin and unsigned_unlock exclude each other: anyone could unlock without the PIN")
    if values["ntp_host"] and values["ntp_hosts"] != NTP_HOSTS:
        faults.append("ntp_host is the only one of an older release: set ntp_hosts alone")
    return faults


TABLE = Table(
    (
        Setting("wifi_ssid", REQUIRED, plain(1, 32)),
        Setting("wifi_password", "", _wifi_password),
        Setting("ip_address", "", _own_address),
        Setting("ip_router", "", _neighbour),
        Setting("ip_dns", "", _neighbour),
        Setting("mqtt_host", REQUIRED, host),
        Setting("mqtt_port", 1883, integer(1, 65535)),
        Setting("mqtt_user", "", plain(0, _MAX_PASSWORD)),
        Setting("mqtt_password", "", _secret),
        Setting("mqtt_base", "gatehouse", _base),
        Setting("mqtt_ca", "", _file, "path of a DER file"),
        Setting("mqtt_cert", "", _file, "path of a DER file"),
        Setting("mqtt_key", "", _file, "path of a DER file"),
        Setting("insecure_broker", False, flag),
        Setting("keepalive_s", 30, integer(4, 3600), "s"),
        Setting("ntp_hosts", NTP_HOSTS, _ntp_hosts),
        Setting("ntp_host", "", _old_ntp_host),
        Setting("ntp_port", 123, integer(1, 65535)),
        Setting("name", "", _name),
        Setting("discovery", True, flag),  # Home Assistant's
        Setting("discovery_prefix", "homeassistant", _prefix),
        Setting("unsigned_unlock", False, flag),
        Setting("remote_pin", "", _pin),
        Setting("records_ack", "consumer", choice("puback", "consumer")),
        Setting("records_clear", True, flag),
        Setting("presence_s", 1800, _presence, "s"),
        Setting("expiry_s", 20, integer(1, 30), "s"),  # a real lock asleep or far away (hardware-facts.md F6)
        Setting("unlock_per_min", 6, integer(1, 10000)),
        Setting("unlock_per_h", 60, integer(1, 100000)),
        Setting("other_per_min", 30, integer(1, 10000)),
        Setting("clock_max_drift_s", 30, integer(2, 3600), "s"),
        Setting("linger_ms", 2000, integer(0, 4000), "ms"),  # a silent link ends after 5 s (hardware-facts.md F29)
    ),
    _together,
)
