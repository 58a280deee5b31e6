# MicroPython's `socket` for simulated boards: the host's sockets, but a UDP port that is open on every address belongs
# to the board's own alone. So answers come from the address that was asked, as from a board, which has no other.
# Who asks a name server (port 53) gets the site's, which has another port: that one belongs to this computer.
import io
import os
import sys

import usocket
from usocket import *  # noqa: F403
from usocket import AF_INET, SOCK_DGRAM, SOCK_STREAM

_GET_FILENO = 10
_ANY = bytes(4)
_NAMES = 53


def _own():
    # the board's address while it has one
    network = sys.modules.get("network")
    station = network and network.WLAN._made.get(network.STA_IF)
    address = station and station._address
    return address and address[0]


class _Udp(io.IOBase):
    def __init__(self, af, proto):
        self._it = usocket.socket(af, SOCK_DGRAM, proto)
        self._joins = False
        for name in ("close", "fileno", "makefile", "read", "readinto", "readline", "recv", "recvfrom"):
            setattr(self, name, getattr(self._it, name))
        for name in ("send", "sendto", "setblocking", "settimeout", "write"):
            setattr(self, name, getattr(self._it, name))

    def connect(self, address):
        kind, _, port = usocket.sockaddr(address)[:3]
        names = os.getenv("SIM_NAMES")
        if names and port == _NAMES and kind == AF_INET:
            host, port = names.split(":")
            address = usocket.getaddrinfo(host, int(port))[0][-1]
        self._it.connect(address)

    def setsockopt(self, level, option, value):
        self._joins = self._joins or option == usocket.IP_ADD_MEMBERSHIP and level == 0
        self._it.setsockopt(level, option, value)

    def bind(self, address):
        kind, host, port = usocket.sockaddr(address)[:3]
        own = _own()
        if own and kind == AF_INET and host == _ANY and not self._joins:
            address = usocket.getaddrinfo(own, port)[0][-1]
        self._it.bind(address)

    def ioctl(self, request, argument):
        return self._it.fileno() if request == _GET_FILENO else -1

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._it.close()


def socket(af=AF_INET, type=SOCK_STREAM, proto=0):
    return _Udp(af, proto) if type == SOCK_DGRAM else usocket.socket(af, type, proto)
