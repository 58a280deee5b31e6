"""Messages of Espressif's provisioning, in both directions: the handshake of security scheme 1, Wi-Fi scan, Wi-Fi
configuration, and the frames of our own endpoint. Owns their fields; how a field is encoded is `protobuf`'s, keys and
the order of messages are `security1`'s.

Source: ESP-IDF, components/protocomm and wifi_provisioning, files .proto (session, sec1, constants, wifi_config,
wifi_scan, wifi_constants); the messages are public interface of Espressif's phone apps.
"""

from firmware.lib import protobuf
from firmware.lib.compat import const
from firmware.lib.errors import ProtocolError
from firmware.lib.protobuf import number_in, octets, octets_in, whole

# Characteristics are the service with these four digits; a 0x2901 descriptor holds the endpoint's name
SERVICE = "021a9004-0382-4aea-bff4-6b3f1c5adfb4"
ENDPOINTS = (
    ("proto-ver", 0xFF53),
    ("prov-session", 0xFF51),
    ("prov-scan", 0xFF50),
    ("prov-config", 0xFF52),
    ("gatehouse", 0xFF54),
)
NAME_PREFIX = "PROV_"

# Status
SUCCESS = 0
INVALID_ARGUMENT = 4
INTERNAL_ERROR = 5
CRYPTO_ERROR = 6

# Message types of the handshake, and the fields where they lie
COMMAND0, RESPONSE0, COMMAND1, RESPONSE1 = range(4)
_SEC_VER = const(2)
_SEC1 = const(11)
_SCHEME1 = const(1)
_FIRST = const(20)

# Message types of prov-config, of prov-scan
GET_STATUS, SET_CONFIG, APPLY_CONFIG = 0, 2, 4
SCAN_START, SCAN_STATUS, SCAN_RESULT = 0, 2, 4
_PAYLOAD = const(10)
_STATUS_OF_SCAN = const(2)

# Station's state, and why it failed
CONNECTED, CONNECTING, DISCONNECTED, FAILED = range(4)
AUTH_ERROR, NETWORK_NOT_FOUND = range(2)
WPA2 = 3  # the kind of network

MAX_VALUE = 512  # bytes of an attribute, by the rules of ATT
_MAX_SSID = const(32)
_MAX_PASSWORD = const(64)

# Our own endpoint: what the first byte says of the rest
DONE = 0  # the last part, or the only one
MORE = 1  # another one follows: ask with an empty one
BUSY = 2  # the gateway is at it: ask again with an empty one
MAC_LEN = 16
PART = MAX_VALUE - MAC_LEN - 1


def characteristic(number):
    """The UUID of an endpoint's characteristic, as text."""
    return "%s%04x%s" % (SERVICE[:4], number, SERVICE[8:])


def device_name(ident):
    """The name that a gateway shows in its window; `ident` is its id, 12 hex digits (domain.md 3.2)."""
    return NAME_PREFIX + ident[10:] + ident[8:10] + ident[6:8]


# --- handshake


def encode_session(kind, body):
    """A message of the handshake: its type and its encoded members."""
    inner = (whole(1, kind) if kind else b"") + octets(_FIRST + kind, body)
    return whole(_SEC_VER, _SCHEME1) + octets(_SEC1, inner)


def decode_session(buf):
    """-> (type, members). Raises ProtocolError for another scheme, or for what is no message of the handshake."""
    members = protobuf.message(buf)
    if number_in(members, _SEC_VER) != _SCHEME1 or len(members) != 2:
        raise ProtocolError("not security 1")
    inner = protobuf.message(octets_in(members, _SEC1))
    kind = number_in(inner, 1)
    if kind > RESPONSE1 or _FIRST + kind not in inner or len(inner) != (2 if 1 in inner else 1):
        raise ProtocolError("no message of the handshake")
    return kind, protobuf.message(octets_in(inner, _FIRST + kind))


# --- prov-config and prov-scan, which are alike


def encode_wifi(kind, body=b"", scan_status=0):
    """A message of prov-config or prov-scan: its type, the encoded members, and the status where it is a scan's."""
    status = whole(_STATUS_OF_SCAN, scan_status) if scan_status else b""
    return (whole(1, kind) if kind else b"") + status + octets(_PAYLOAD + kind, body)


def decode_wifi(buf):
    """-> (type, members) of a request. Raises ProtocolError for an answer, or for what is no message at all."""
    outer = protobuf.message(buf)
    kind = number_in(outer, 1)
    for number in outer:
        if number != 1 and number != _PAYLOAD + kind:
            raise ProtocolError("field %d of a request" % number)
    if kind not in (GET_STATUS, SET_CONFIG, APPLY_CONFIG) or not outer:
        raise ProtocolError("request %d" % kind)
    return kind, protobuf.message(octets_in(outer, _PAYLOAD + kind))


def decode_config(members):
    """Members of SET_CONFIG -> (SSID, password) as bytes. Raises ProtocolError for sizes that no network has."""
    ssid, password = octets_in(members, 1), octets_in(members, 2)
    if not 0 < len(ssid) <= _MAX_SSID or len(password) > _MAX_PASSWORD:
        raise ProtocolError("no network has such a name or password")
    return ssid, password


def status_body(status):
    """Members of an answer that has nothing but a status."""
    return whole(1, status) if status else b""


def state_body(state, reason=None, connected=None):
    """Members of the answer to GET_STATUS. `reason` with FAILED; `connected`, encoded, with CONNECTED."""
    body = whole(2, state) if state else b""
    if reason is not None:
        body += whole(10, reason)  # also 0: the field says which of several it is
    if connected is not None:
        body += octets(11, connected)
    return body


def connected_body(address, auth, ssid, channel):
    """Members that tell of a connection: the address as text."""
    return octets(1, address.encode()) + whole(2, auth) + octets(3, ssid) + whole(5, channel)


def network_body(ssid, channel, rssi_dbm, bssid, auth):
    """Members of one network that was heard, as an entry of SCAN_RESULT."""
    return octets(1, octets(1, ssid) + whole(2, channel) + whole(3, rssi_dbm) + octets(4, bssid) + whole(5, auth))
