"""What the owner asks about the PIN of hubs over MQTT: `pin_set`, `pin_clear`. Owns nothing: the PIN is the setting
`remote_pin`, as over the console. Loaded for a moment only.
"""

from firmware.gateway import provisioning
from firmware.gateway.admission import Refusal
from firmware.gateway.operations.arguments import only
from firmware.lib.compat import unload
from firmware.lib.errors import BadRequest, ConfigError

_KEY = "remote_pin"


def run(op, args, use, replacing):
    """Store the PIN, or that there is none: `replacing()` is called before, `use(digits or None)` behind -> `data` of
    the result.

    Raises BadRequest for what is no PIN, Refusal where the other settings do not allow one, OSError.
    """
    from firmware.system import config

    digits = None
    if op == "pin_set":
        digits = only(args, "pin").get("pin")
    else:
        only(args)
    try:
        table = provisioning.table()
        if op == "pin_set":
            faults = table.faults({_KEY: digits}, True)
            if faults or not digits:
                raise BadRequest("pin must be 4 to 8 digits")
        replacing()
        config.write(provisioning.PATH, table, {_KEY: digits})
    except ConfigError as err:
        raise Refusal("refused", str(err), "settings")
    finally:
        unload(provisioning.LATE)
    use(digits)
    return {}
