"""Who this gateway is: its key pair, made once and kept in NVS, and how often it has started. Owns these NVS keys.

`board` has nvs_get, nvs_set and nvs_erase.
"""

from firmware.lib import crypto
from firmware.lib.errors import ConfigError

_SPACE = "gatehouse"


def own_key(board):
    """(secret, public) of this gateway, made at the first start and kept in NVS."""
    from firmware.lib import x25519

    secret = board.nvs_get(_SPACE, "x25519")
    if secret is None or len(secret) != 32:
        secret = crypto.new_key(32)
        board.nvs_set(_SPACE, "x25519", secret)
        board.nvs_erase(_SPACE, "x25519_public")
    public = board.nvs_get(_SPACE, "x25519_public")
    if public is None or len(public) != 32:
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
