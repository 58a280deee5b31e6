"""`net/clock` on MicroPython against an NTP server on a socket."""

import contextlib
import os
import socket
import struct
import subprocess
import threading
import time
from collections.abc import Callable, Iterator

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


def run(port: int, wait_s: float = 20) -> list[str]:
    env = dict(os.environ, MICROPYPATH=".frozen:%s:%s" % (ROOT, LIBRARY))
    command = [interpreter(), str(ROOT / "tests/host/boards/clock.py"), str(port)]
    try:
        done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=wait_s, check=False)
    except subprocess.TimeoutExpired as err:
        return (err.stdout or b"").decode().splitlines()
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.splitlines()


def test_two_agreeing_answers_make_the_clock_trusted() -> None:
    with server(lambda _, request: [reply(request)]) as port:
        lines = run(port)
    assert lines[0] == "STATE floor 1767225600"
    state, word, now, rtc = next(line for line in lines if "trusted" in line).split()
    assert abs(int(now) - time.time()) < 3
    assert abs(int(rtc) - time.time()) < 3
    assert lines[-1] == "STOPPED"


def test_lost_and_forged_answers_are_survived() -> None:
    def answer(count: int, request: bytes) -> list[bytes]:
        if count == 0:
            return [reply(request[:40] + bytes(8), 3600)]  # does not know the token
        if count == 1:
            return [b"short"]
        return [reply(request)]

    with server(answer) as port:
        lines = run(port, 30)
    assert sum("no_answer" in line for line in lines) == 2
    assert abs(int(next(line for line in lines if "trusted" in line).split()[2]) - time.time()) < 3


def test_a_server_that_alternates_is_never_believed() -> None:
    with server(lambda count, request: [reply(request, 3600 * (count % 2))]) as port:
        lines = run(port, 8)
    assert not any("trusted" in line for line in lines)
