"""`gatehouse doctor`, `logs` and the bundle: whatever answers, a page and no traceback; no secret leaves.

Over a pty in place of a board, and a real broker with a scripted gateway.
"""

import asyncio
import json
import os
import random
import re
import threading
import time
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firmware.lib import envelope
from firmware.version import VERSION
from host_tools.cli import logs, statuses
from host_tools.doctor import bundle, findings, gateway, lock, log_lines, masking, port
from host_tools.doctor.masking import Mask
from host_tools.errors import HostError
from host_tools.owner import minting, names
from host_tools.sim.board.pty_end import open_pty
from tests.faults import canaries
from tests.host.gateway_end import KEY, pinned
from tests.host.test_cli import ENTRY, book, gatehouse  # noqa: F401
from tests.host.test_cli_no_wait import GATEWAY, ScriptedGateway

_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)


def _near(**members):
    """Objects with these members, each of its kind, or absent, or anything."""
    return st.fixed_dictionaries({}, optional={name: kind | _JSON for name, kind in members.items()}) | _JSON


_COUNT = st.dictionaries(st.sampled_from(["power_on", "memory", "escaped", "x"]), st.integers() | _JSON, max_size=3)
_RESTART = _near(why=st.sampled_from(["power_on", "escaped", "?"]), what=st.text(max_size=12), counts=_COUNT)
_HELLO = _near(
    role=st.sampled_from(["gateway", "lock", "kettle"]),
    version=st.sampled_from([VERSION, "0.0.1", "x"]),
    provisioned=st.booleans(),
    faults=st.lists(st.text(max_size=9), max_size=2),
    restart=_RESTART,
    owner=st.booleans(),
    connection=_near(
        state=st.sampled_from([*port.STATES, *port.UNDER_WAY, "?"]), failures=st.integers(), msg=st.text()
    ),
)
_HEALTH = _near(micropython=st.sampled_from(["1.25.0", "1.3", "x"]), heap=st.integers(), flash=st.integers())
_REPL = _near(
    micropython=st.lists(st.integers(0, 30) | _JSON, max_size=3),
    files=st.lists(st.sampled_from(["main.py", "a"]), max_size=2),
    role=st.sampled_from(["gateway", "?"]),
    starts=st.integers(),
)
_LINES = st.lists(st.text(max_size=30) | st.just("    | Traceback (most recent call last):"), max_size=4)
_PORT = _near(hello=_HELLO, health=_HEALTH, repl=_REPL, lines=_LINES, open=st.none())
_GATEWAY = _near(
    online=st.booleans(),
    info=_near(
        x25519=st.just("00" * 32), locks=st.lists(_near(mac=st.just("aabbccddeeff"))), flags=st.lists(st.text())
    ),
    metrics=_near(ts=st.text(max_size=20), rssi=st.integers(), dropped=_COUNT, results=_COUNT, success_pct=st.floats()),
    pinned=st.just("00" * 32),
    answer=st.sampled_from(["ok", "no_answer"]),
    age_s=st.integers(),
)
_LOOK = _near(
    battery=st.integers(),
    rssi=st.integers(),
    heard_s=st.integers(),
    zone=st.text(),
    drift_s=st.floats(),
    near=st.booleans(),
)
_LOCK = _near(
    gateways=st.lists(
        _near(gateway=st.text(), online=st.booleans(), look=_LOOK, state=_LOOK, answer=st.text()), max_size=3
    ),
    zone_rule=st.text(),
    known=st.booleans(),
)
EXAMPLES = settings(max_examples=int(os.environ.get("GATEHOUSE_EXAMPLES", "60")), deadline=None)


@EXAMPLES
@given(
    st.sampled_from([(port, _PORT), (gateway, _GATEWAY), (lock, _LOCK)]).flatmap(
        lambda p: st.tuples(st.just(p[0]), p[1])
    )
)
def test_whatever_has_been_said_gives_a_page(drawn):
    module, found = drawn
    found = found if isinstance(found, dict) else {}
    told = module.judge("it", found)
    assert told.rows and all(each.severity in findings.SEVERITIES for each in told.rows)
    assert all(each.finding and (each.severity == findings.OK or each.advice) for each in told.rows)
    json.dumps([each.to_json() for each in told.rows])
    json.dumps(bundle.harmless(found))


def test_every_code_is_on_the_page_of_documentation_and_every_one_can_come():
    page = (Path(__file__).parents[2] / "docs/doctor.md").read_text()
    told = dict(re.findall(r"^\| `(\w+)` \| (.*) \|$", page, re.M))
    assert told == {code: advice.replace("|", "\\|") for code, advice in findings.ADVICE.items()}
    source = "".join(
        path.read_text()
        for path in (Path(__file__).parents[2] / "host_tools").rglob("*.py")
        if path.name != "findings.py"
    )
    assert [code for code in findings.ADVICE if '"%s"' % code not in source] == []


# --- a port


class Typist:
    """Something on the far end of a serial port. `answer(line)` gives what it prints for a line, or None."""

    def __init__(self, answer, greeting=b""):
        self.control, self._terminal = open_pty()
        os.set_blocking(self.control, True)
        self.port = os.ttyname(self._terminal)
        self._answer = answer
        self.typed = []
        self._greeting = greeting  # with the first answer: who opens a port drops what has come
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self):
        rest = b""
        while True:
            try:
                part = os.read(self.control, 4096)
            except OSError:
                return
            *lines, rest = (rest + part).split(b"\n")
            for line in lines:
                self.typed.append(line)
                said, self._greeting = self._greeting + (self._answer(line) or b""), b""
                if said:
                    os.write(self.control, said)

    def close(self):
        os.close(self._terminal)
        os.close(self.control)
        self._thread.join(10)


def talker(**replies):
    """Answers requests of the console by their `do`, as firmware does."""

    def answer(line):
        try:
            request = json.loads(line)
        except ValueError:
            return None
        reply = replies.get(request.get("do"))
        return None if reply is None else json.dumps(reply | {"seq": request.get("seq")}).encode() + b"\r\n"

    return answer


HELLO = {"ok": True, "role": "gateway", "id": "240ac4a00000", "version": VERSION, "provisioned": True, "faults": []}
HELLO |= {"owner": True, "restart": {"why": "power_on", "what": "", "minimal": False, "counts": {"power_on": 1}}}
ONLINE = HELLO | {"connection": {"state": "online", "failures": 0, "msg": ""}}
HEALTHY = {
    "ok": True,
    "health": {"boot": 3, "micropython": "1.29.0", "heap": 90000, "flash": 2 << 20, "flash_free": 1 << 20},
}
HEALTHY["health"] |= {"clock": "trusted", "board": "ESP32"}


def examined(answer, *more, greeting=b""):
    """(exit status, findings by code, seconds) of `doctor PORT --json`."""
    typist = Typist(answer, greeting)
    began_s = time.monotonic()
    try:
        result = gatehouse("doctor", typist.port, "--json", *more)
    finally:
        took_s = time.monotonic() - began_s
        typist.close()
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    told = json.loads(result.stdout)
    assert statuses.of(told["code"]) == result.exit_code
    return result.exit_code, {each["code"]: each for each in told["findings"]}, took_s


def test_a_gateway_in_order_is_told_as_in_order(book):  # noqa: F811
    status, told, _ = examined(talker(hello=ONLINE, health=HEALTHY))
    assert status == 0 and {each["severity"] for each in told.values()} == {"ok"}, told
    assert {
        "board",
        "micropython",
        "version",
        "settings",
        "owner",
        "wifi",
        "broker",
        "clock",
        "memory",
        "flash",
    } <= set(told)


@pytest.mark.parametrize(
    "hello, code, severity",
    [
        ({"provisioned": False, "faults": ["wifi_ssid is missing"]}, "settings", "error"),
        ({"owner": False}, "owner", "warning"),
        ({"version": "0.0.1"}, "version", "warning"),
        ({"connection": {"state": "wifi_password", "failures": 3, "msg": "reason 15"}}, "wifi", "error"),
        ({"connection": {"state": "tls_name", "failures": 1, "msg": "x"}}, "broker", "error"),
        ({"connection": {"state": "newer_word", "failures": 1, "msg": "x"}}, "broker", "error"),
        ({"restart": {"why": "escaped", "what": "ValueError", "counts": {"escaped": 2}}}, "last_words", "warning"),
        ({"restart": {"why": "silent", "what": "mqtt", "minimal": True}}, "minimal_mode", "error"),
        ({"role": "kettle"}, "role", "error"),
    ],
)
def test_what_is_wrong_with_a_gateway_on_a_cable_is_told(book, hello, code, severity):  # noqa: F811
    status, told, _ = examined(talker(hello=ONLINE | hello, health=HEALTHY))
    assert (told[code]["severity"], status) == (severity, {"error": 1, "warning": statuses.WARNED}[severity]), told
    assert told[code]["advice"]


@pytest.mark.parametrize(
    "answer, greeting",
    [
        (lambda line: None, b""),
        (lambda line: line + b"\r\n", b""),  # an echo
        (lambda line: b"{}\r\n", b""),
        (lambda line: b"[1]\r\n\xff\xfe{\r\n", b""),
        (talker(hello={"ok": True, "role": 5, "restart": [], "faults": {}}), b""),
        (talker(hello={}), b""),
    ],
    ids=["dead", "echo", "empty", "rubbish", "wrong kinds", "nothing"],
)
def test_whatever_answers_on_a_port_is_told_as_no_board(book, answer, greeting):  # noqa: F811
    status, told, _ = examined(answer, greeting=greeting)
    assert status == 1 and told["board"]["severity"] == "error", told


def test_a_dead_port_and_none_are_told_soon(book):  # noqa: F811
    assert port._HELLO_S + port._REPL_S < 5  # noqa: SLF001
    result = gatehouse("doctor", "/dev/no-such-port", "--json")
    (only,) = json.loads(result.stdout)["findings"]
    assert (only["code"], only["severity"], result.exit_code) == ("port", "error", 1)


def test_a_traceback_that_it_prints_is_its_last_words(book):  # noqa: F811
    lines = b"   3.000 E supervisor ended job=mqtt\r\n    | Traceback (most recent call last):\r\n    | OSError: 5\r\n"
    _, told, _ = examined(talker(hello=ONLINE, health=HEALTHY), greeting=lines)
    assert "OSError: 5" in told["last_words"]["finding"]


# --- gateways and locks over MQTT


@pytest.fixture
def scripted(book):  # noqa: F811
    """The key book's gateway at a real broker, with metrics and what it knows of one lock."""
    book.put(replace(ENTRY, model="GATEHOUSE-L1"))
    book.change_gateway(GATEWAY, lambda known: pinned(GATEWAY))
    made = ScriptedGateway()
    made.answers["metrics"] = {"ok": True, "code": "ok", "data": {}}
    look = {"battery": 9, "rssi": -60, "near": True, "heard_s": 4, "remote_unlock": False, "zone": "UTC0", "waiting": 2}
    look |= {"failures": [{"ts": None, "op": "unlock", "code": "link"}], "verified": True, "jobs": 0}
    made.answers["locks"] = {"ok": True, "code": "ok", "data": look}
    metrics = {"heap_low": 50000, "rssi": -80, "clock": "floor", "jobs": 0, "records": 4, "restarts": {"memory": 2}}

    def told(request):
        if request["op"] == "metrics":
            made.publish("metrics", json.dumps(metrics))

    made.on_told = told
    yield made
    made.close()


def _publish(self, leaf, text):
    work = self._client.publish("gatehouse/%s/%s" % (GATEWAY, leaf), text, qos=1)
    asyncio.get_running_loop().create_task(work)


ScriptedGateway.publish = _publish


def codes(result):
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return {each["code"]: each for each in json.loads(result.stdout)["findings"]}


def test_a_gateway_over_mqtt(scripted):
    result = gatehouse("doctor", GATEWAY, "--json", *scripted.at)
    told = codes(result)
    severities = {code: told[code]["severity"] for code in told}
    wanted = {"online": "ok", "pinned_key": "ok", "answers": "ok", "wifi_signal": "warning", "clock": "warning"}
    wanted |= {"restarts": "warning", "records_waiting": "note", "jobs_waiting": "ok", "memory": "ok", "metrics": "ok"}
    assert {code: severities.get(code) for code in wanted} == wanted
    assert result.exit_code == statuses.WARNED


def test_a_lock_over_mqtt_and_everything(scripted):
    result = gatehouse("doctor", "Front door", "--json", *scripted.at)
    told = codes(result)
    assert told["battery"]["severity"] == "error" and "9 %" in told["battery"]["finding"]
    assert told["remote_unlock"]["severity"] == "warning" and told["heard"]["severity"] == "ok"
    assert "unlock: link" in told["failures"]["finding"] and "2 records" in told["records_waiting"]["finding"]
    assert result.exit_code == 1
    everything = gatehouse("doctor", *scripted.at)
    assert "gateway %s" % GATEWAY in everything.output and "lock Front door" in everything.output
    assert everything.exit_code == 1


def test_a_broker_that_is_away_is_a_finding_and_a_word_that_means_nothing_an_error(book):  # noqa: F811
    told = codes(gatehouse("doctor", "--json", "--broker", "127.0.0.1:1", "--insecure-broker"))
    assert list(told) == ["broker_reached"]


def test_a_word_that_names_nothing_is_an_error(scripted):
    result = gatehouse("doctor", "no such thing", "--json", *scripted.at)
    assert (result.exit_code, json.loads(result.stdout)["code"]) == (2, "unknown_name")


# --- the bundle


def test_no_secret_and_no_name_is_in_a_bundle(scripted, book, tmp_path, monkeypatch):  # noqa: F811
    random.seed(7)
    secrets = canaries.Canaries()
    code, pin, erase = canaries.digits(), canaries.digits(), canaries.digits()
    wifi, broker, token = canaries.text(), canaries.text(), canaries.text()
    named = {"lock": "Larchgrove door", "person": "Zebulon", "network": "Quillfeather", "host": "brackenfold.example"}
    entry = replace(
        ENTRY,
        name=named["lock"],
        aes=random.randbytes(16).hex(),
        admin_ps=random.randrange(1 << 29, 1 << 31),
        unlock_key=random.randrange(1 << 29, 1 << 31),
        admin_passcode=canaries.digits(7),
        seeds=minting.make_seeds(),
        erase_code=erase,
        groups=["Zebulon flat"],
    )
    book.put(entry)
    names.remember(book, entry.id, "passcode", None, named["person"], code, limits={"type": "permanent"})
    book.change_gateway(GATEWAY, lambda known: replace(known, name="Zebulon gate", broker=named["host"] + ":8883"))
    entry = book.find(entry.mac)
    secrets.plant_entry(entry)
    secrets.plant("issuer", canaries.of_key(KEY))
    secrets.plant("record key", canaries.of_key(envelope.record_key(KEY)))
    for name, digits in (("code", code), ("pin", pin), ("erase", erase)):
        secrets.plant(name, canaries.of_code(digits))
    for name, text in (("wifi", wifi), ("broker", broker), ("token", token), *named.items()):
        secrets.plant(name, canaries.of_text(text))
    # What is on the way says all of it, where it has no business
    leak = {"aes": entry.aes, "admin": entry.admin_ps, "note": "code %s of %s" % (code, named["person"]), "wifi": wifi}
    shown = {"wifi_ssid": named["network"], "wifi_password": wifi, "mqtt_host": named["host"], "mqtt_password": broker}
    shown |= {"remote_pin": pin, "mqtt_user": token, "keepalive_s": 30, "name": named["lock"], "aes": entry.aes}
    msg = "%s at %s with %s, %s" % (named["network"], named["host"], entry.aes.upper(), entry.admin_ps)
    hello = ONLINE | leak | {"connection": {"state": "wifi", "failures": 1, "msg": msg}, "faults": [msg]}
    line = "   1.000 W wifi lost ssid=%s aes=%s who=%s code=%s\r\n" % (
        named["network"],
        entry.aes,
        named["person"],
        code,
    )
    typist = Typist(
        talker(
            hello=hello,
            health={"ok": True, "health": HEALTHY["health"] | leak},
            settings={"ok": True, "settings": shown},
        ),
        line.encode(),
    )
    scripted.answers["locks"]["data"] |= leak | {"name": named["lock"], "model": "GATEHOUSE-L1"}
    scripted.answers["log"] = {"ok": True, "code": "ok", "data": {"minutes": 1}}

    def tell(request):
        if request["op"] == "log":
            body = {"n": 0, "left_s": 1, "dropped": 0, "lines": [line.strip()]}
            topic = "gatehouse/%s/log" % GATEWAY
            scripted.publish("log", envelope.sign(KEY, topic, json.dumps(body)))
        elif request["op"] == "metrics":
            scripted.publish("metrics", json.dumps({"heap_low": 50000, **leak}))

    scripted.on_told = tell
    monkeypatch.setattr("host_tools.cli.doctor._LOG_S", 0.5)
    found = []
    try:
        for place, target in enumerate([[typist.port], [GATEWAY], [named["lock"]], []]):
            path = tmp_path / ("%d.zip" % place)
            result = gatehouse("doctor", *target, "--bundle", str(path), *scripted.at)
            assert path.exists() and path.stat().st_mode & 0o777 == 0o600, result.output
            with zipfile.ZipFile(path) as packed:
                whole = {name: packed.read(name) for name in packed.namelist()}
            assert set(whole) == {"doctor.json", "log.txt", "versions.json"}
            for name, content in whole.items():
                found += secrets.hits("%s of %d" % (name, place), content)
            found += secrets.hits("the archive", path.read_bytes())
            if place < 2:
                assert b"wifi lost" in whole["log.txt"], "the log is in it, and what it tells"
            assert json.loads(whole["doctor.json"])["findings"]
        result = gatehouse("doctor", typist.port, "--bundle", str(tmp_path / "named.zip"), "--with-names", *scripted.at)
        with zipfile.ZipFile(tmp_path / "named.zip") as packed:
            content = packed.read("doctor.json") + packed.read("log.txt")
        assert named["network"].encode() in content
        found += secrets.hits("with names", content, tuple(named))
    finally:
        typist.close()
    assert secrets.searched > 1000 and not found, found


@EXAMPLES
@given(_JSON)
def test_a_member_that_nobody_allowed_is_left_out(value):
    shaped = masking.allowed({"restart": value, "secret": value, "heap": value, "results": {"x": value}})
    assert "secret" not in shaped
    json.dumps(shaped)


@pytest.mark.parametrize("name", ["a.b*c", "(xy", "Ada", "\\d+", "ЯЯЯ"])
def test_names_are_masked_as_they_are_written(name):
    mask = Mask()
    mask.add_names([name])
    assert mask.text("before %s after" % name) == "before <name> after"
    assert Mask(True).text(name) == name


# --- logs


@pytest.mark.parametrize(
    "level, sources, shown",
    [
        ("", (), [0, 1, 2, 3, 4]),
        ("warning", (), [0, 2, 3, 4]),
        ("", ("mqtt",), [0, 2, 3, 4]),
        ("error", ("link",), [0, 4]),
    ],
)
def test_lines_are_filtered_by_level_and_source_and_a_traceback_goes_with_its_line(level, sources, shown):
    lines = ["boot", "   1.000 I link up", "   2.000 E mqtt ended", "    | Traceback", "rst:0x1"]
    chosen = log_lines.Filter(level, sources)
    assert [at for at, line in enumerate(lines) if chosen.shows(log_lines.parse(line))] == shown


def test_a_level_that_is_none_is_refused():
    with pytest.raises(HostError):
        log_lines.Filter("loud")


@EXAMPLES
@given(st.lists(st.binary(max_size=40), max_size=8))
def test_lines_are_cut_the_same_however_the_bytes_come(parts):
    cutter, whole = log_lines.Cutter(), log_lines.Cutter()
    found = [line for part in parts for line in cutter.feed(part)] + cutter.end()
    assert "".join(found).split() == "".join(whole.feed(b"".join(parts)) + whole.end()).split()
    assert not any("\n" in line or "\r" in line for line in found)


def test_a_port_that_is_pulled_and_put_in_again_is_followed_and_its_control_lines_are_left_alone(tmp_path, monkeypatch):
    import termios

    from host_tools.doctor import serial_log

    def plugged():
        control, terminal = open_pty()
        os.set_blocking(control, True)
        link = tmp_path / "port"
        link.unlink(missing_ok=True)
        link.symlink_to(os.ttyname(terminal))
        return control, terminal

    told = []
    control, terminal = plugged()
    lines = serial_log.follow(str(tmp_path / "port"), told.append)
    modes = termios.tcgetattr(terminal)
    modes[2] |= termios.HUPCL
    termios.tcsetattr(terminal, termios.TCSANOW, modes)

    def when(is_so, then):
        """In a thread: what is printed before the port is open is lost."""

        def wait():
            while not is_so():
                time.sleep(0.01)
            then()

        threading.Thread(target=wait, daemon=True).start()

    when(
        lambda: not termios.tcgetattr(terminal)[2] & termios.HUPCL,
        lambda: os.write(control, b'   1.000 I link up\r\n{"ok":true}\r\n   2.000 I li'),
    )
    assert next(lines) == "   1.000 I link up"
    os.close(terminal)
    os.close(control)
    back = []
    when(lambda: told, lambda: back.extend(plugged()))
    when(lambda: len(told) > 1, lambda: os.write(back[0], b"   0.100 I lifeline started\r\n"))
    assert next(lines) == "   2.000 I li"
    assert next(lines) == "   0.100 I lifeline started"
    assert [text.split(" is ")[1][:4] for text in told] == ["gone", "back"]
    lines.close()
    for each in back:
        os.close(each)
    source = Path(serial_log.__file__).read_text()
    assert ".dtr" not in source and ".rts" not in source


def test_the_log_of_a_gateway_is_shown_as_far_as_it_is_proven_and_asked_for_no_longer_than_wanted(scripted):
    scripted.answers["log"] = {"ok": True, "code": "ok", "data": {"minutes": 1}}
    topic = "gatehouse/%s/log" % GATEWAY

    def message(number, left_s, *lines, key=KEY, where=topic):
        return envelope.sign(key, where, json.dumps({"n": number, "left_s": left_s, "dropped": 0, "lines": lines}))

    def tell(request):
        if request["op"] == "log" and request["args"]["minutes"]:
            scripted.publish("log", message(0, 60, "   1.000 I link up"))
            scripted.publish("log", message(0, 60, "   1.000 I link up"))  # repeated by somebody
            scripted.publish("log", message(1, 60, "   1.500 W wifi forged", key=bytes(32)))
            scripted.publish("log", message(1, 60, "   1.500 W wifi moved", where=topic + "x"))
            scripted.publish("log", json.dumps({"n": 1, "lines": ["unsigned"]}))
            scripted.publish("log", message(2, 0, "   2.000 W wifi lost", "\x1b[2J"))

    scripted.on_told = tell
    result = gatehouse("logs", GATEWAY, "--minutes", "1", *scripted.at)
    assert result.exit_code == 0, result.output
    assert result.stdout.count("link up") == 1 and "wifi lost" in result.stdout
    assert "forged" not in result.output and "moved" not in result.output and "unsigned" not in result.output
    assert "\x1b" not in result.stdout and "1 messages are missing" in result.stderr
    assert [each["args"]["minutes"] for each in scripted.asked if each["op"] == "log"] == [1, 0]


def test_a_gateway_of_an_older_release_is_told_as_such(scripted):
    scripted.answers["log"] = {"ok": False, "code": "bad_request", "msg": "no such operation here"}
    result = gatehouse("logs", GATEWAY, *scripted.at)
    assert result.exit_code == 1 and "error unsupported: " in result.stderr


def test_which_words_are_ports():
    assert all(logs.is_port(each) for each in ("/dev/ttyACM0", "./port", "COM3", "com12", "socket://host:1"))
    assert not any(logs.is_port(each) for each in ("240ac4a00000", "House", "COM", "COMX", "common"))
