"""Points in time as people write them on a command line."""

import re
import time
from datetime import datetime

from host_tools.errors import HostError

_UNITS = {"m": 60, "h": 3600, "d": 86400, "w": 604800}


def read_moment(text: str, base_s: float | None = None) -> int:
    """`now`, `+90m` `+12h` `+2d` `+1w` (after `base_s`, else after now), or ISO 8601 local time -> Unix seconds."""
    if text == "now":
        return int(time.time())
    later = re.fullmatch(r"\+(\d{1,5})([mhdw])", text)
    if later:
        return int(time.time() if base_s is None else base_s) + int(later[1]) * _UNITS[later[2]]
    try:
        return int(datetime.fromisoformat(text).timestamp())
    except (ValueError, OverflowError, OSError):
        raise HostError("bad_request", "%r is no date" % text, "write 2026-05-01T15:00, now, or +2d")
