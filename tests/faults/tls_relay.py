"""A relay in front of a broker with TLS that disturbs one handshake after the other, and sees whether a client ever
speaks in clear.

Owns what is done to a connection (`Disturbance`) and the record of each (`Passage`).
"""

import contextlib
import select
import socket
import struct
import threading
import time
from typing import NamedTuple

from tests.host import pki

_RESET = struct.pack("ii", 1, 0)  # SO_LINGER: closing sends RST
_MAX_FLOOD = 64 << 20
_FLOOD_PER_S = 1 << 20  # bytes, as much as the Wi-Fi of a board carries
_HANG_S = 120.0

# What an endless stream of records is made of: 5 octets of header, and a body
FLOODS = {
    "warnings": b"\x15\x03\x03\x00\x02\x01\x5a",
    "empty_handshake": b"\x16\x03\x03\x00\x00",
    "hello_requests": b"\x16\x03\x03\x00\x04\x00\x00\x00\x00",
    "change_cipher": b"\x14\x03\x03\x00\x01\x01",
    "garbage": b"\x17\x03\x03\x00\x20" + bytes(range(32)),
    "huge": b"\x16\x03\x03\xff\xff" + bytes(1000),
    "no_records": bytes(range(256)),
}
ALERTS = (0, 10, 20, 40, 42, 43, 44, 45, 48, 49, 50, 70, 71, 80, 86, 90, 100, 112, 113, 116, 120)


class Disturbance(NamedTuple):
    """`how`: through, reset, close, silence, slow, alert or flood, once `after` bytes of the broker's have passed.
    `what`: the alert's number, or the name of a flood."""

    how: str
    after: int = 0
    what: int | str = 0


class Passage:
    """One connection: what the client said, how much of the broker's answer reached it."""

    def __init__(self, plan: Disturbance) -> None:
        self.plan = plan
        self.said = bytearray()
        self.passed = 0
        self.before_data = 0  # of `passed`, when the client's first data came

    @property
    def is_clear(self) -> bool:
        """Whether anything of the client's is not in a record of TLS."""
        at = 0
        while at < len(self.said):
            head = bytes(self.said[at : at + 5])
            if head[0] not in (20, 21, 22, 23) or head[1:2] not in (b"", b"\x03"):
                return True
            if len(head) < 5:
                return False  # cut off in a header
            at += 5 + int.from_bytes(head[3:5], "big")
        return False

    @property
    def has_data(self) -> bool:
        """Whether the client took the handshake for complete and sent data."""
        at = 0
        while at + 5 <= len(self.said):
            if self.said[at] == 23:
                return True
            at += 5 + int.from_bytes(self.said[at + 3 : at + 5], "big")
        return False


class Relay:
    """The n-th connection meets the n-th of `plans`, every further one passes through."""

    def __init__(self, port: int, plans: list[Disturbance], pace_s: float = 0.02) -> None:
        self.plans = plans
        self.passages: list[Passage] = []
        self._target = port
        self._pace_s = pace_s
        self._listener = socket.create_server((pki.HERE, 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            number = len(self.passages)
            passage = Passage(self.plans[number] if number < len(self.plans) else Disturbance("through"))
            self.passages.append(passage)
            threading.Thread(target=self._one, args=(client, passage), daemon=True).start()

    def _one(self, client: socket.socket, passage: Passage) -> None:
        until_s = time.monotonic() + _HANG_S
        with contextlib.suppress(OSError), client, socket.create_connection((pki.HERE, self._target)) as broker:
            while time.monotonic() < until_s:
                ready, _, _ = select.select([client, broker], [], [], 1.0)
                if client in ready:
                    part = client.recv(65536)
                    if not part:
                        return
                    had_data = passage.has_data
                    passage.said += part
                    if passage.has_data and not had_data:
                        passage.before_data = passage.passed
                    broker.sendall(part)
                if broker in ready:
                    part = broker.recv(65536)
                    if not part:
                        return
                    if not self._pass(client, passage, part):
                        return

    def _pass(self, client: socket.socket, passage: Passage, part: bytes) -> bool:
        """What the broker says, on to the client as far as the plan allows; False: it is over."""
        plan = passage.plan
        left = plan.after - passage.passed
        if plan.how == "through" or len(part) < left:
            passage.passed += len(part)
            client.sendall(part)
            return True
        client.sendall(part[:left])
        passage.passed += left
        if plan.how == "slow":
            for octet in part[left:]:
                if self._is_over(client, passage, self._pace_s):
                    return False
                client.sendall(bytes([octet]))
                passage.passed += 1
            return True
        if plan.how == "alert":
            client.sendall(b"\x15\x03\x03\x00\x02\x02" + bytes([int(plan.what)]))
        if plan.how == "flood":
            records = FLOODS[str(plan.what)] * 16
            client.settimeout(_HANG_S)
            for _ in range(_MAX_FLOOD // len(records)):
                client.sendall(records)
                time.sleep(len(records) / _FLOOD_PER_S)
        if plan.how == "reset":
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        elif plan.how != "close":
            until_s = time.monotonic() + _HANG_S
            while time.monotonic() < until_s and not self._is_over(client, passage, 1.0):
                pass
        return False

    def _is_over(self, client: socket.socket, passage: Passage, wait_s: float) -> bool:
        """Hear the client for a while; True once it has gone."""
        if not select.select([client], [], [], wait_s)[0]:
            return False
        part = client.recv(65536)
        passage.said += part
        return not part

    def close(self) -> None:
        self._listener.close()
