"""`net/udp`'s resolver on MicroPython against a name server on a socket."""

import os
import subprocess

from tests.host.test_clock_ntp import Reply, server
from tests.micropython import LIBRARY, ROOT, interpreter


def answer(request: bytes, address: bytes = b"\x0a\x00\x00\x07", rcode: int = 0) -> bytes:
    """One A record for whatever was asked."""
    count = b"\x00\x01" if rcode == 0 else b"\x00\x00"
    head = request[:2] + bytes([0x81, 0x80 | rcode]) + b"\x00\x01" + count + bytes(4)
    record = b"\xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x3c\x00\x04" + address if rcode == 0 else b""
    return head + request[12:] + record


def resolve(serve: Reply, host: str = "broker.home") -> list[str]:
    with server(serve) as port:
        done = subprocess.run(
            [interpreter(), str(ROOT / "tests/host/boards/resolver.py"), str(port), host],
            env=dict(os.environ, MICROPYPATH=".frozen:%s:%s" % (ROOT, LIBRARY)),
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.splitlines()


def test_name_is_resolved() -> None:
    assert resolve(lambda count, request: [answer(request)])[0] == "ADDRESS 10.0.0.7"


def test_address_is_not_asked_for() -> None:
    assert resolve(lambda count, request: [b"never"], "192.168.7.1")[0] == "ADDRESS 192.168.7.1"


def test_lost_and_forged_answers_are_survived() -> None:
    def serve(count: int, request: bytes) -> list[bytes]:
        if count == 0:
            return []
        if count == 1:
            return [answer(bytes([request[0] ^ 1]) + request[1:])]
        return [answer(request)]

    assert resolve(serve)[0] == "ADDRESS 10.0.0.7"


def test_name_that_does_not_exist() -> None:
    assert resolve(lambda count, request: [answer(request, rcode=3)])[0].startswith("FAILED no address for broker.home")


def test_silent_server_does_not_stop_the_loop() -> None:
    found = resolve(lambda count, request: [])
    assert found[0].startswith("FAILED") and int(found[1].split()[1]) < 1500, found
