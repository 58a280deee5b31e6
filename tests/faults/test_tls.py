"""TLS to the broker: who is not the owner's broker hears no word of MQTT from either end, and what goes wrong with a
handshake leaves a gateway off line, alive, and never in clear (T-TLS-1, T-TLS-2, R-16)."""

import asyncio
import random
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from host_tools.boards import provisioning
from host_tools.errors import HostError
from host_tools.gateway import brokers, client, tls
from tests.faults import tls_relay
from tests.faults.rows import Row, run_program
from tests.faults.tls_relay import Disturbance, Relay
from tests.host import pki
from tests.host.test_mqtt_tls import run_board

_HOSTS = (pki.HERE, "localhost")  # without and with a name in the handshake (SNI)
_ELSEWHERE = set(pki.CASES) - {"sni_alert", "sni_default", "client_purpose", "no_authority"}  # tests/host, in short
_SIGNATURE = 16  # bytes by which signatures, and with them a handshake, differ in length
_TRICKLE = 100  # bytes one by one take longer than the deadline; a few would complete the handshake
_DEADLINE_BEATS = 20  # of some 250 before a deadline: the loop went on
_MAX_PAUSE_S = 60

# The allocator, with a control that MicroPython's os.getenv reaches: calls from the n-th to the m-th fail
_ALLOCATOR = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <string.h>
extern void *__libc_malloc(size_t), *__libc_calloc(size_t, size_t), *__libc_realloc(void *, size_t);
static long count, first, last;
static int fails(void) { count++; return first && count >= first && count < last; }
void *malloc(size_t size) { return fails() ? NULL : __libc_malloc(size); }
void *calloc(size_t many, size_t size) { return fails() ? NULL : __libc_calloc(many, size); }
void *realloc(void *old, size_t size) { return fails() ? NULL : __libc_realloc(old, size); }
char *getenv(const char *name) {
    static char *(*real)(const char *);
    static char text[24];
    if (!strncmp(name, "FAIL:", 5)) {
        long from = 0, to = 0;
        sscanf(name + 5, "%ld:%ld", &from, &to);
        snprintf(text, sizeof text, "%ld", count);
        count = 0; first = from; last = to;
        return text;
    }
    if (!real) real = (char *(*)(const char *))dlsym(RTLD_NEXT, "getenv");
    return real ? real(name) : NULL;
}
"""


class Rig:
    """A broker with TLS that wants certificates, and a gateway's files."""

    def __init__(self, folder: Path) -> None:
        self.authority = pki.issue("authority")
        for name, signed in (("ca", self.authority), ("client", pki.issue("240ac4a00000", self.authority))):
            pki.write(folder, name, signed)
        self.broker = pki.Server("wants_client", folder, self.authority)
        self._folder = str(folder)

    def run(self, relay: Relay, program: str, **how) -> dict:
        return run_program(program, {"host": pki.HERE, "port": relay.port, "folder": self._folder, **how})


@pytest.fixture
def rig():
    with tempfile.TemporaryDirectory() as folder:  # with a short name
        made = Rig(Path(folder))
        yield made
        made.broker.close()


@pytest.mark.row("T-TLS-1", "words of MQTT to brokers that are not the owner's, from tools and gateway")
def test_who_is_not_the_owners_broker_hears_nothing(row: Row, tmp_path: Path) -> None:
    authority = pki.issue("authority")
    pki.write(tmp_path, "ca", authority)
    cases = [case for case, expected in pki.CASES.items() if expected]
    servers = {case: pki.Server(case, tmp_path, authority) for case in cases}
    tried = [(case, host) for case in cases for host in _HOSTS]

    def tools(of: tuple[str, str]) -> str:
        return asyncio.run(_tools_step(servers[of[0]].port, of[1], tmp_path))

    with ThreadPoolExecutor(len(tried)) as pool:  # some of them take the ten seconds that the library waits
        steps = list(pool.map(tools, tried))
    for (case, host), step in zip(tried, steps, strict=True):
        row.check(step == pki.CASES[case], "tools, %s, %s: %s" % (case, host, step))
    for case, host in tried:
        if host == "localhost" and (case not in _ELSEWHERE or Row.count(0, 1)):
            told = run_board(servers[case], authority[1], tmp_path, host=host)
            row.check("step=%s " % pki.GATEWAY[case] in told, "gateway, %s, %s: %s" % (case, host, told[-200:]))
    for case, server in servers.items():
        # a ClientHello goes in clear, as it has to; where TLS came about, its content is what counts
        row.check(not server.heard or server.heard[0] == 0x16, "%s heard %s" % (case, bytes(server.heard[:8]).hex()))
        server.close()
    server = pki.Server("right", tmp_path, authority)
    row.check(asyncio.run(_tools_step(server.port, "localhost", tmp_path)) == "up", "the right one")
    row.check("UP" in run_board(server, authority[1], tmp_path, host="localhost"), "the right one, by the gateway")
    row.check(server.heard[0] == 0x10, "the right one hears no MQTT")
    server.close()


async def _tools_step(port: int, host: str, folder: Path) -> str:
    try:
        async with client.connect(brokers.Broker(host, port, tls.Tls(str(folder / "ca.pem")))):
            return "up"
    except HostError as error:
        return error.code


@pytest.mark.row("R-16", "disturbed handshakes: words in clear, false connections, missing back-off, a dead loop")
def test_a_gateway_outlives_every_disturbance_of_a_handshake(row: Row, rig: Rig) -> None:
    clean = Relay(rig.broker.port, [])
    rig.run(clean, "tls_faults", attempts=0)
    whole = clean.passages[0].before_data - _SIGNATURE
    random.seed(row.seed)
    plans = _plans(whole)
    random.shuffle(plans)
    rig.broker.heard.clear()
    relay = Relay(rig.broker.port, plans)
    result = rig.run(relay, "tls_faults", attempts=len(plans))
    attempts = result["attempts"]
    row.check(result["up"], "left alone, the client does not come up")
    row.check(len(attempts) >= len(plans), "%d attempts for %d disturbances" % (len(attempts), len(plans)))
    for number, (passage, attempt) in enumerate(zip(relay.passages, attempts, strict=False)):
        row.check(not passage.is_clear, "%s: the client spoke in clear" % (passage.plan,))
        row.check(attempt["step"] in provisioning.STATES, "%s: told as %s" % (passage.plan, attempt["step"]))
        if passage.plan.how != "through":
            row.check(not passage.has_data, "%s: data went over half a handshake" % (passage.plan,))
        usual_ms = 1000 * min(2**number, _MAX_PAUSE_S)
        is_long_enough = 0.74 * usual_ms <= attempt["pause_ms"] <= 1.26 * usual_ms
        row.check(is_long_enough, "attempt %d pauses %d ms" % (number, attempt["pause_ms"]))
        if attempt["step"] == "broker_silent":
            row.check(attempt["beats"] >= _DEADLINE_BEATS, "%s: the loop stood still" % (passage.plan,))
    for passage in relay.passages[len(attempts) :]:
        row.check(not passage.is_clear, "in clear, undisturbed")
    row.figure("handshakes", len(relay.passages))
    row.figure("failed", len(attempts))
    for each in (clean, relay):
        each.close()


def _plans(whole: int) -> list[Disturbance]:
    """`whole`: how many bytes of the broker's a handshake surely needs."""
    every = range(whole) if Row.count(0, 1) else random.sample(range(whole), 20)
    plans = [Disturbance("reset", after) for after in every]
    plans += [Disturbance("close", after) for after in every]
    points = [0, *random.sample(range(1, whole), Row.count(1, 8))]
    plans += [Disturbance("alert", 0, number) for number in tls_relay.ALERTS]
    for after in points:
        plans += [Disturbance("silence", after), Disturbance("slow", min(after, whole - _TRICKLE))]
        plans += [Disturbance("flood", after, name) for name in tls_relay.FLOODS]
        plans += [Disturbance("alert", after, number) for number in random.sample(tls_relay.ALERTS, Row.count(4, 21))]
    return plans


@pytest.mark.row("T-TLS-2", "allocations of a handshake that fail: connections in clear, clients that stay away")
def test_too_little_memory_for_tls_leads_off_line_and_back(row: Row, rig: Rig, tmp_path: Path, monkeypatch) -> None:
    allocator = _allocator(tmp_path)
    if allocator:
        monkeypatch.setenv("LD_PRELOAD", str(allocator))
    relay = Relay(rig.broker.port, [])
    holes = 256, 16384, Row.count(2048, 64)
    how = {"holes": holes, "count": Row.count(8, 2000), "seed": row.seed}
    row.take(rig.run(relay, "tls_memory", **how))
    for number, passage in enumerate(relay.passages):
        row.check(not passage.is_clear, "connection %d was in clear" % number)
    row.check(len(relay.passages) > len(range(*holes)), "hardly anybody connected")
    row.figure("connections", len(relay.passages))
    relay.close()


def _allocator(folder: Path) -> Path | None:
    """The library, where this computer can make it and lets it be loaded."""
    compiler = shutil.which("cc")
    if compiler is None or not sys.platform.startswith("linux"):
        return None
    source = folder / "allocator.c"
    source.write_text(_ALLOCATOR)
    library = folder / "allocator.so"
    command = [compiler, "-shared", "-fPIC", "-O1", "-o", str(library), str(source), "-ldl"]
    done = subprocess.run(command, capture_output=True, check=False)
    return library if done.returncode == 0 else None


def test_the_relay_tells_words_in_clear() -> None:
    for said, is_clear in (
        (b"", False),
        (b"\x16\x03\x01\x00\x02ab\x17\x03\x03\x00\x01x", False),
        (b"\x16\x03\x01\x00\x02a", False),
        (b"\x10\x0e\x00\x04MQTT", True),
        (b"\x16\x03\x01\x00\x02ab\x10\x0e\x00\x04MQTT", True),
        (b"{", True),
    ):
        passage = tls_relay.Passage(Disturbance("through"))
        passage.said += said
        assert passage.is_clear == is_clear, said
        assert passage.has_data == (b"\x17" in said)
