"""What strangers publish, advertise and name: no listing command ends in a traceback, whatever is at the broker.

The commands are the real ones; in place of the connection stands one that has every retained topic filled with what was
drawn and that answers each request with a drawn result. One run against a real broker shows that the stand-in is no
easier. `GATEHOUSE_FAULTS` draws 400 of each.
"""

import asyncio
import contextlib
import json
import os
import traceback
from dataclasses import replace
from types import SimpleNamespace

import aiomqtt
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from firmware.lib import advert
from host_tools import text
from host_tools.cli.main import app
from host_tools.gateway import client as gateway_client
from host_tools.gateway import payloads
from host_tools.near import sightings
from host_tools.owner.keybook import Entry, KeyBook
from tests.host.gateway_end import pinned
from tests.host.test_cli import BATCH
from tests.host.test_cli_no_wait import ScriptedGateway

GATEWAY, LOCK = "240ac4a00000", "240ac4b00002"
ENTRY = Entry("24:0a:c4:b0:00:02", "Garage [/]", "00112233445566778899aabbccddeeff", 11, 22, model="GATEHOUSE-L1")
DRAWS = 400 if os.environ.get("GATEHOUSE_FAULTS") else 12
CALM = settings(
    max_examples=DRAWS,
    deadline=None,
    phases=(Phase.explicit, Phase.generate),  # a failure names its line; making it smaller takes minutes
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)

LISTINGS = {
    "state": ("state", LOCK),
    "info": ("info",),
    "time": ("time", "get", LOCK),
    "autolock": ("autolock", "get", LOCK),
    "settings": ("setting", "get", LOCK),
    "jobs": ("jobs", LOCK),
    "cancel": ("cancel", LOCK, "7f"),
    "passcodes": ("passcode", "list", LOCK),
    "cards": ("card", "list", LOCK),
    "lost cards": ("card", "list", LOCK, "--lost"),
    "fingers": ("fingerprint", "list", LOCK),
    "fobs": ("fob", "list", LOCK),
    "ekeys": ("ekey", "list", LOCK, "--check"),
    "passage": ("passage", "list", LOCK),
    "basics": ("basics", LOCK),
    "diagnose": ("diagnose", LOCK, "--to", "diagnosis.json"),
    "unlock": ("unlock", LOCK),
    "passcode add": ("passcode", "add", LOCK, "--generate", "6"),
    "finger": ("fingerprint", "enrol", LOCK),
    "card": ("card", "delete", LOCK, "--slot", "1"),
    "records": ("records", LOCK),
    "keys": ("keys", "list"),
    "monitor": ("monitor", "--seconds", "0.01"),
}
PLAIN = (
    st.none()
    | st.booleans()
    | st.integers(-(1 << 70), 1 << 70)
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from(["[/x]", "Garage [/]", "\x1b[2J", "\u202e", "\ud83d", "", " ", "ok", "x" * 5000, -1, 1 << 62, 0])
)
MEMBERS = sorted(
    {
        "id",
        "op",
        "ok",
        "code",
        "msg",
        "ms",
        "attempts",
        "ttlock",
        "data",
        "items",
        "next",
        "locks",
        "mac",
        "name",
        "last",
    }
    | {"lock", "door", "battery", "rssi", "ts", "event_type", "type", "method", "who", "rec", "slot", "number", "uid"}
    | {"start", "end", "hours", "status", "state", "from_min", "to_min", "weekday", "day", "month", "settings", "found"}
    | {"flag_pos", "next_uid", "press", "total", "done", "read", "new", "job_state", "features", "x25519", "reason"}
    | {"epoch", "from", "to", "gap", "age_s", "days", "code", "online", "cancelled", "running", "seconds", "drift_s"}
)
# Payloads that are too long to be shown when a test fails, by their names
HUGE = {"<deep list>": b"[" * 50_000, "<deep object>": b'{"a":' * 9_000, "<digits>": b"9" * 9_000}
HUGE["<million>"] = b'{"name":"%s","lock":"[/%s]","msg":"%s","id":"x"}' % (3 * (b"x" * 60_000,))
HUGE["<too long>"] = b'{"name":"%s"}' % (b"x" * 1_000_000)
JSON = st.recursive(
    PLAIN,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(MEMBERS) | st.text(max_size=4), inner, max_size=6)
    ),
    max_leaves=25,
)
OBJECT = st.dictionaries(st.sampled_from(MEMBERS) | st.text(max_size=4), JSON, max_size=8)
RAW = st.binary(max_size=30) | st.sampled_from([b"NaN", b"online", b"\xff", *HUGE])
# What a gateway of ours says, with a few members spoilt: it gets further than what is all noise
TRUE = {
    "info": {
        "id": GATEWAY,
        "name": "Hall",
        "x25519": "09" * 32,
        "locks": [{"mac": LOCK, "name": "Front"}],
    },
    "state": {"lock": "LOCKED", "door": "closed", "battery": 90, "rssi": -60, "last": {"method": "card", "who": 7}},
    "event": {
        "event_type": "unlock",
        "type": 4,
        "method": "passcode",
        "who": 5,
        "rec": 3,
        "ts": "2026-01-02T03:04:05Z",
    },
    "records": BATCH,
}
ITEM = {
    **{"id": "7f", "op": "passcode_add", "state": "normal", "attempts": 1, "age_s": 5, "last": "link", "sent": True},
    **{"code": "****", "type": "cyclic", "who": 3, "days": "mon", "from_min": 480, "to_min": 600, "slot": 1},
    **{"number": 2, "mac": "c0ffee000001", "battery": 80, "online": True, "uid": 4, "remote": True, "once": False},
    **{"start": "2026-01-02T03:04:05Z", "end": "2027-01-02T03:04:05Z", "status": 1, "weekday": 3, "hours": 4},
}


def spoilt(whole: dict) -> st.SearchStrategy[dict]:
    """`whole` with some of its members replaced, and the objects in its lists alike."""
    some = st.dictionaries(st.sampled_from(sorted(whole)), JSON, max_size=2)
    return some.map(lambda members: {**whole, **members})


RESULT = st.builds(
    lambda ok, data, more: {"ok": ok, "code": "ok", "ms": 3, "attempts": 1, "data": data, **more},
    st.sampled_from([True, True, True, False, None, "yes"]),
    st.builds(
        lambda items, more: {"items": items, "flag_pos": 1, "next_uid": 2, "settings": {"sound": True}, **more},
        st.lists(spoilt(ITEM) | JSON, max_size=4) | JSON,
        OBJECT,
    )
    | JSON,
    st.just({}) | st.just({}) | OBJECT.map(lambda some: {key: some[key] for key in some if key != "id"}),
)


def raw(value) -> bytes:
    if isinstance(value, str) and value in HUGE:
        return HUGE[value]
    return value if isinstance(value, bytes) else json.dumps(value).encode()


class Strangers:
    """In place of `aiomqtt.Client`: `retained` (topic, payload) come to every subscriber, `result` answers requests."""

    def __init__(self, retained, result) -> None:
        self._retained, self._result = retained, result
        self._queue: asyncio.Queue = asyncio.Queue()
        self._sent = False

    def __call__(self, *_, **__):
        return Strangers(self._retained, self._result)

    async def __aenter__(self):
        return self

    async def __aexit__(self, *_):
        return None

    async def subscribe(self, pattern, qos=0, timeout=None):
        if not self._sent or pattern.endswith(("records", "event")):
            for topic, payload in self._retained:
                self._put(topic, payload)
        self._sent = True

    def _put(self, topic, payload) -> None:
        self._queue.put_nowait(SimpleNamespace(topic=topic, payload=payload))

    async def publish(self, topic, payload, qos=0, timeout=None):
        if topic.endswith("/cmd"):
            request = json.loads(payload)
            answer = self._result
            if isinstance(answer, dict):
                answer = {"id": request["id"], "op": request["op"], **answer}
            self._put(topic[:-3] + "rsp", raw(answer))
            last = {"id": request["id"], "op": request["op"], "ok": True, "code": "ok"}  # so that no command waits long
            self._put(topic[:-3] + "rsp", raw(last))

    @property
    async def messages(self):
        while True:
            yield await self._queue.get()


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("GATEHOUSE_KEYS", str(tmp_path / "keys.json"))
    monkeypatch.setenv("GATEHOUSE_RECORDS", str(tmp_path / "records.db"))
    monkeypatch.setenv("COLUMNS", "300")
    monkeypatch.setenv("GATEHOUSE_TRACEBACK", "1")  # what the command line did not foresee is seen here
    monkeypatch.setattr(gateway_client, "_SETTLE_S", 0)
    monkeypatch.setattr("host_tools.gateway.records_inflow.QUIET_S", 0.01)
    monkeypatch.chdir(tmp_path)
    KeyBook().put(replace(ENTRY, credentials=[{"kind": "card", "name": "[/x]", "number": 1, "who": [3]}]))
    return monkeypatch


def run(command, input="1\n"):
    """One command; any exception but its own exit is a traceback, any unsafe character was printed unescaped."""
    result = CliRunner().invoke(app, command, input=input)
    assert "Traceback" not in result.output, (command, result.output[-2000:])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        where = traceback.extract_tb(result.exception.__traceback__)[-1]
        raise AssertionError("%s: %r at %s:%s" % (command, result.exception, where.filename, where.lineno))
    assert all(text.is_safe(sign) or sign in "\n\t" for sign in result.output), result.output
    return result


RETAINED = st.fixed_dictionaries(
    {
        "info": spoilt(TRUE["info"]) | st.just(TRUE["info"]) | JSON | RAW,
        "state": spoilt(TRUE["state"]) | JSON | RAW,
        "event": spoilt(TRUE["event"]) | JSON | RAW,
        "records": spoilt(TRUE["records"]) | JSON | RAW,
        "availability": st.just(b"online") | RAW,
    }
)


def topics(drawn: dict) -> list[tuple[str, bytes]]:
    """All retained messages. A gateway as it should be stands first, so that the commands find one to ask."""
    root = "gatehouse/%s/" % GATEWAY
    first = [(root + "info", raw(TRUE["info"])), (root + "status", b"online")]
    below = [(root + "lock/%s/%s" % (LOCK, leaf), raw(drawn[leaf])) for leaf in drawn if leaf != "info"]
    strange = [("gatehouse/[/x]/info", b"{}"), ("gatehouse//lock//state", b"{}"), (root + "lock/../state", b"{}")]
    return [
        *below,
        *strange,
        *first,
        (root + "info", raw(drawn["info"])),
        *first,
    ]


@pytest.mark.parametrize("command", LISTINGS.values(), ids=LISTINGS)
def test_no_command_ends_in_a_traceback(home, command):
    count = 0

    @CALM
    @given(drawn=RETAINED, result=RESULT | RESULT | JSON | RAW)
    def draw(drawn, result):
        nonlocal count
        count += 1
        home.setattr(gateway_client.aiomqtt, "Client", Strangers(topics(drawn), result))
        run(command)

    draw()
    assert count >= DRAWS / 4
    print("%d runs of %s, 0 tracebacks" % (count, " ".join(command)))


@CALM
@given(name=st.text(max_size=40) | st.text(st.characters(categories=("Cs", "Cf", "Cc"))) | st.just("x" * 1_000_000))
def test_scan_shows_whatever_name_is_advertised(home, name):
    seen = advert.Advert("v3", 5, 3, 2)
    seen.battery, seen.settable, seen.touched = 90, True, False
    sighting = sightings.Sighting(None, "24:0a:c4:b0:00:02", name, seen, -60)

    async def scan_all(seconds):
        return [sighting]

    home.setattr(sightings, "scan_all", scan_all)
    assert "24:0a:c4:b0:00:02" in run(("scan",)).output
    assert json.loads(run(("scan", "--json")).output)[0]["mac"] == "24:0a:c4:b0:00:02"


@CALM
@given(value=JSON | RESULT | RAW)
def test_what_is_read_has_its_kinds(value):
    reader = payloads.Reader()
    for kind in (payloads.INFO, payloads.STATE, payloads.EVENT, payloads.ANSWER, *map(payloads.result, LISTINGS)):
        read = reader.message(raw(value), kind)
        assert read is None or isinstance(read, dict)
    info = reader.message(raw(value), payloads.INFO) or {}
    for lock in info.get("locks") or []:
        assert isinstance(lock["mac"], str)
        assert isinstance(lock.get("name"), str | None)


@pytest.mark.parametrize(
    ("payload", "dropped"),
    [
        (b'{"battery": "full", "rssi": -60}', 1),
        (b'{"battery": true, "last": "card"}', 2),
        (b'{"lock": {"a": 1}}', 1),
        (b"[]", 1),
        (b"null", 1),
        (b"\xff", 1),
        (b'{"a":NaN}', 1),
        (b"[" * 100_000, 1),
        (b'"' + b"x" * 300_000 + b'"', 1),
        (b'{"lock": "LOCKED", "battery": null}', 0),
    ],
)
def test_a_member_of_a_wrong_kind_is_unknown_and_counted(payload, dropped):
    reader = payloads.Reader()
    state = reader.message(payload, payloads.STATE)
    assert reader.dropped == dropped
    assert all(value is None or name in ("lock", "rssi") for name, value in (state or {}).items())


def test_a_wrong_ok_is_no_success(home):
    calm = topics(TRUE | {"availability": b"online"})
    for ok in ("yes", 1, "true", [True], None):
        home.setattr(gateway_client.aiomqtt, "Client", Strangers(calm, {"ok": ok}))
        assert run(("unlock", LOCK)).exit_code == 1


def test_over_a_real_broker_with_the_issue_s_examples(home):
    """Names, ESC, bidi marks, a dict for a string, a million characters, retained at a broker and shown by commands."""
    gateway = ScriptedGateway()
    KeyBook().change_gateway(GATEWAY, lambda known: pinned(GATEWAY))
    names = ["Garage [/]", "[/x]", "\x1b[2J\x1b[31m", "\u202eevil", {"a": {"b": 1}}, "x" * 50_000, "\ud83d", None, 7]
    item = {"id": "[/x]", "op": {"a": 1}, "state": "\x1b[2J", "attempts": "many", "last": ["x"]}
    gateway.answers = {"jobs": {"ok": True, "code": "ok", "data": {"items": [item, None, 7, "x"]}}}

    async def publish() -> None:
        async with aiomqtt.Client(gateway.broker.host, gateway.broker.port) as stranger:
            for place, name in enumerate(names):
                root = "gatehouse/0000000000%02x/" % place
                info = {"locks": [{"mac": "24:0a:c4:b0:10:%02x" % place, "name": name}, name], "name": name}
                await stranger.publish(root + "info", json.dumps(info), qos=1, retain=True)
                await stranger.publish(root + "status", "offline", qos=1, retain=True)
                state = {"lock": name, "battery": name, "last": {"method": name, "who": name}}
                topic = root + "lock/240ac4b010%02x/state" % place
                await stranger.publish(topic, json.dumps(state), qos=1, retain=True)

    with contextlib.closing(gateway):
        asyncio.run(publish())
        shown = run(("monitor", "--seconds", "1", *gateway.at)).output
        assert "Garage [/]" in shown
        assert "[2J [31m" in shown, "without what a terminal obeys"
        assert "could not be read" in shown
        assert "[/x]" in run(("jobs", LOCK, *gateway.at)).output
        assert run(("unlock", "", *gateway.at)).exit_code == 2
        assert run(("unlock", "Gar", *gateway.at)).exit_code == 2
        assert [each["op"] for each in gateway.asked] == ["jobs"], "an empty or partial name asks nobody"
