"""The owner's settings of a gateway: every key with its default, unit and check (kept in /data/settings.json)."""

from firmware.system.config import REQUIRED, Setting, Table, choice, flag, integer, text

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
            Setting("records_ack", "puback", choice("puback", "consumer")),
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
