"""`net/udp`'s resolver on MicroPython against a name server on a socket, and a machine that answers by multicast."""

import contextlib
import os
import secrets
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator

import pytest

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


def kind_of(request: bytes) -> int:
    return request[-3]


def answer_6(request: bytes, address: bytes = bytes.fromhex("fd00" + "00" * 13 + "07")) -> bytes:
    """One AAAA record for whatever was asked."""
    return (
        request[:2]
        + b"\x81\x80\x00\x01\x00\x01"
        + bytes(4)
        + request[12:]
        + (b"\xc0\x0c\x00\x1c\x00\x01\x00\x00\x00\x3c\x00\x10" + address)
    )


def nothing(request: bytes) -> bytes:
    """There is such a name, and no address of this kind."""
    return request[:2] + b"\x81\x80\x00\x01" + bytes(6) + request[12:]


def test_name_with_an_address_of_ip_6_only_is_resolved() -> None:
    def serve(count: int, request: bytes) -> list[bytes]:
        return [answer_6(request) if kind_of(request) == 28 else nothing(request)]

    assert resolve(serve)[0] == "ADDRESS fd00:0:0:0:0:0:0:7"


def test_an_address_of_ip_4_comes_first() -> None:
    def serve(count: int, request: bytes) -> list[bytes]:
        return [answer_6(request) if kind_of(request) == 28 else answer(request)]

    assert resolve(serve)[0] == "ADDRESS 10.0.0.7"


def test_name_without_any_address_says_so() -> None:
    assert "without an IPv4 address" in resolve(lambda count, request: [nothing(request)])[0]


def test_name_that_does_not_exist() -> None:
    assert resolve(lambda count, request: [answer(request, rcode=3)])[0].startswith("FAILED no address for broker.home")


def test_silent_server_does_not_stop_the_loop() -> None:
    found = resolve(lambda count, request: [])
    assert found[0].startswith("FAILED") and int(found[1].split()[1]) < 1500, found


MULTICAST = ("224.0.0.251", 5353)


@contextlib.contextmanager
def responder(name: str, told: Callable[[bytes], bytes | None]) -> Iterator[list[bytes]]:
    """Answers questions for `name` by multicast DNS as a machine of the home does, with what `told` makes of one, None
    for silence; what it was asked."""
    asked: list[bytes] = []
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if hasattr(socket, "SO_REUSEPORT"):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    try:
        sock.bind(("", MULTICAST[1]))
        sock.setsockopt(
            socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, socket.inet_aton(MULTICAST[0]) + socket.inet_aton("0.0.0.0")
        )
    except OSError as err:
        sock.close()
        pytest.skip("no multicast here: %s" % err)
    wanted = b"".join(bytes((len(part),)) + part.encode() for part in name.split(".")) + b"\0"

    def serve() -> None:
        with contextlib.suppress(OSError):
            while True:
                request, peer = sock.recvfrom(512)
                if request[12:].lower().startswith(wanted):  # names have no case (RFC 1035 2.3.3)
                    asked.append(request)
                    said = told(request)
                    if said is not None:
                        sock.sendto(said, peer)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield asked
    sock.close()


@pytest.mark.parametrize("host", ["hall-%s.local", "Hall-%s.Local.", "HALL-%s.LOCAL"])
def test_name_of_the_home_is_asked_for_by_multicast_first(host: str) -> None:
    mark = secrets.token_hex(4)
    with responder("hall-%s.local" % mark, lambda request: answer(request, b"\x0a\x00\x00\x63")) as asked:
        found = resolve(lambda count, request: [answer(request)], host % mark)
    assert found[0] == "ADDRESS 10.0.0.99" and asked


def test_machine_of_the_home_with_an_address_of_ip_6_only_is_found_by_multicast() -> None:
    name = "hall-%s.local" % secrets.token_hex(4)
    with responder(name, lambda request: answer_6(request) if kind_of(request) == 28 else None) as asked:
        found = resolve(lambda count, request: [answer(request)], name)
    assert found[0] == "ADDRESS fd00:0:0:0:0:0:0:7" and len(asked) == 2


def test_name_of_the_home_that_nobody_answers_for_is_asked_of_the_name_server() -> None:
    found = resolve(lambda count, request: [answer(request)], "Hall-%s.LOCAL." % secrets.token_hex(4))
    assert found[0] == "ADDRESS 10.0.0.7" and int(found[1].split()[1]) < 1500


@pytest.mark.parametrize("host", ["fd00::7", "[fd00::7]", "::1", "[::1]"])
def test_address_of_ip_6_is_not_asked_for(host: str) -> None:
    assert resolve(lambda count, request: [b"never"], host)[0] == "ADDRESS " + host.strip("[]")


def test_whole_name_may_end_with_a_dot() -> None:
    seen: list[bytes] = []

    def serve(count: int, request: bytes) -> list[bytes]:
        seen.append(request)
        return [answer(request)]

    assert resolve(serve, "broker.home.")[0] == "ADDRESS 10.0.0.7"
    assert seen[0][12:] == b"\x06broker\x04home\x00\x00\x01\x00\x01"
