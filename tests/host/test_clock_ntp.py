"""`net/clock` on MicroPython against an NTP server on a socket."""

import contextlib
import os
import socket
import struct
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from firmware.version import BUILT
from tests.micropython import LIBRARY, ROOT, interpreter

Reply = Callable[[int, bytes], list[bytes]]


def reply(request: bytes, shift_s: float = 0) -> bytes:
    now = time.time() + shift_s + 2208988800
    stamp = struct.pack("!II", int(now), int(now % 1 * 2**32))
    return b"\x24\x02\x00\xec" + bytes(12) + stamp + request[40:48] + stamp + stamp


@contextlib.contextmanager
def server(answer: Reply) -> Iterator[int]:
    """An NTP server; `answer` makes the datagrams for the n-th request."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        sock.settimeout(0.2)
        stop = threading.Event()

        def serve() -> None:
            count = 0
            while not stop.is_set():
                with contextlib.suppress(TimeoutError):
                    request, peer = sock.recvfrom(512)
                    for part in answer(count, request):
                        sock.sendto(part, peer)
                    count += 1

        thread = threading.Thread(target=serve)
        thread.start()
        yield sock.getsockname()[1]
        stop.set()
        thread.join()


def run(*ports: int, wait_s: float = 20) -> list[str]:
    env = dict(os.environ, MICROPYPATH=".frozen:%s:%s" % (ROOT, LIBRARY))
    command = [interpreter(), str(ROOT / "tests/host/boards/clock.py"), *("127.0.0.1:%d" % port for port in ports)]
    try:
        done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=wait_s, check=False)
    except subprocess.TimeoutExpired as err:
        return (err.stdout or b"").decode().splitlines()
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.splitlines()


def told(*answers: Reply, wait_s: float = 20) -> list[str]:
    """What the clock of a gateway prints that asks servers which answer so."""
    with contextlib.ExitStack() as stack:
        return run(*(stack.enter_context(server(answer)) for answer in answers), wait_s=wait_s)


def honest(_: int, request: bytes) -> list[bytes]:
    return [reply(request)]


def silent(_: int, request: bytes) -> list[bytes]:
    return []


def ahead(_: int, request: bytes) -> list[bytes]:
    return [reply(request, 7 * 86400)]


def is_right(lines: list[str]) -> bool:
    _, _, now, rtc = next(line for line in lines if "trusted" in line).split()
    return abs(int(now) - time.time()) < 3 and abs(int(rtc) - time.time()) < 3


def test_servers_that_agree_make_the_clock_trusted() -> None:
    lines = told(honest, honest, honest)
    assert lines[0] == "STATE floor %d" % BUILT
    assert is_right(lines) and lines[-1] == "STOPPED"


@pytest.mark.parametrize("third", [silent, ahead], ids=["silent", "lies"])
def test_one_of_three_is_outvoted(third: Reply) -> None:
    assert is_right(told(third, honest, honest))


def test_lost_and_forged_answers_are_survived() -> None:
    def answer(count: int, request: bytes) -> list[bytes]:
        if count == 0:
            return [reply(request[:40] + bytes(8), 3600)]  # does not know the token
        if count == 1:
            return [b"short"]
        return [reply(request)]

    lines = told(answer, answer, wait_s=30)
    assert sum("no_answer" in line for line in lines) == 4
    assert sum("no_agreement" in line for line in lines) == 2
    assert is_right(lines)


def test_fewer_than_two_that_agree_leave_the_clock_as_it_was() -> None:
    with contextlib.ExitStack() as stack:
        one, other, mute = (stack.enter_context(server(answer)) for answer in (honest, ahead, silent))
        stories = [(one, mute, mute), (one, other, mute), (one, one, one), (one, mute)]
        with ThreadPoolExecutor() as pool:
            for lines in pool.map(lambda ports: run(*ports, wait_s=8), stories):
                assert lines and not any("trusted" in line for line in lines), lines


def test_servers_that_alternate_are_never_believed() -> None:
    def alternates(count: int, request: bytes) -> list[bytes]:
        return [reply(request, 3600 * (count % 2))]

    lines = told(alternates, alternates, wait_s=8)
    assert not any("trusted" in line for line in lines)
