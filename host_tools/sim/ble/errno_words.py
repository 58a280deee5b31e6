"""Error numbers as MicroPython's `bluetooth` raises them on an ESP32 (its internal errno table, not the host's).

NimBLE's host has numbers of its own. extmod/nimble/modbluetooth_nimble.c maps eleven of them to errno; every other one
reaches the program negated, for instance -530 for "the chip refused the parameters" (0x200 + HCI error 0x12).
"""

E2BIG = 7
EIO = 5
ENOENT = 2
ENOMEM = 12
EBUSY = 16
ENODEV = 19
EINVAL = 22
EOPNOTSUPP = 95
ENOTCONN = 107
ETIMEDOUT = 110
EALREADY = 114

HS_ENOTCONN = 7  # NimBLE's host error numbers, as *_DONE events carry them
HS_ETIMEOUT = 13
HS_ATT = 0x100  # + ATT error
HS_HCI = 0x200  # + HCI error
HS_SM_US = 0x400  # + reason of a pairing that we ended

HCI_INVALID_PARAMETERS = -(HS_HCI + 0x12)
SM_NUMERIC_COMPARISON = -(HS_SM_US + 0x0C)


class BoardError(Exception):
    """A command that the radio refuses; becomes OSError(number) on the board."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number
