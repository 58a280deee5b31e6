"""Error numbers as MicroPython's `bluetooth` raises them on an ESP32 (its internal errno table, not the host's)."""

EIO = 5
ENOMEM = 12
EBUSY = 16
ENODEV = 19
EINVAL = 22
EOPNOTSUPP = 95
ENOTCONN = 107
EALREADY = 114


class BoardError(Exception):
    """A command that the radio refuses; becomes OSError(number) on the board."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number
