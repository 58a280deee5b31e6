"""Every way in which a name is given to something, with every text that is no name: refused before anything is sent.

The ways of the command line are found by walking the command tree: a new option or argument that names something has to
say so (`shared.Called`) or to stand in `OTHERS`, with the reason.
"""

import json
import unicodedata
from dataclasses import replace

import pytest

from firmware.gateway import settings as gateway_settings
from firmware.gateway.lock import from_bundle
from firmware.gateway.operations import settings as lock_settings
from firmware.lib import compat, errors
from firmware.lib.messages import settings_lock
from host_tools import text
from host_tools.cli import common, reach, shared
from host_tools.errors import HostError
from host_tools.gateway.client import import_args
from host_tools.near import pairing
from host_tools.owner import key_files
from host_tools.owner.keybook import KeyBook
from host_tools.sim.site import actions
from tests.host.test_cli_tree import COMMANDS, ENTRY, alone, gatehouse, given  # noqa: F401

BAD = {
    "escape": "Ada\x1b[2J",
    "line end": "Ada\nEve",
    "carriage return": "Ada\rEve",
    "delete": "Ada\x7f",
    "C1 control": "Ada\x9b2J",
    "bidi override": "Ada\u202eeve",
    "bidi isolate": "Ada\u2066eve",
    "mark of right-to-left": "Ada\u200f",
    "Arabic letter mark": "Ada\u061c",
    "line separator": "Ada\u2028eve",
    "byte order mark": "\ufeffAda",
    "half of a pair": "Ada\ud83d",
    "nothing": "",
    "blanks": " \u00a0 ",
    "too long": "x" * 65,
}
UNSEEN = {key: value for key, value in BAD.items() if key not in ("nothing", "blanks", "too long", "half of a pair")}
# What looks like a name and gives none: each with what checks it
OTHERS = {
    "setting get": "a word of a table",
    "setting set": "a word of a table",
    "issuer add": "a-z, 0-9 and -, test_a_name_of_an_issuer_or_a_client",
    "issuer change": "the same",
    "issuer remove": "the same",
    "broker add": "the same",
    "broker init": "names of hosts",
    "broker remove": "one that is there",
    "broker renew": "the same",
    "passcode list": "a part of a name, for choosing",
    "provision": "a setting of the gateway, checked with the others",
    "records": "a person, for choosing",
    "setup": "the same as for provision",
    "time zone": "a zone of the computer's table",
}
WHOLE, FEW = ("pair --name", "rename alias"), ("escape", "bidi override", "nothing", "too long")
NAMING = ("name", "alias", "text", "person", "group")


def ways():
    """(words of a command, its parameter) wherever a name is given."""
    for words, command in COMMANDS.items():
        hints = getattr(command.callback, "__annotations__", {})
        for each in command.params:
            if shared.names_in(hints.get(each.name)):
                yield words, each


WAYS = {"%s %s" % (words, each.opts[0]): (words, each) for words, each in ways()}


def test_whatever_names_something_says_so():
    named = {words for words, _ in WAYS.values()}
    silent = set()
    for words, command in COMMANDS.items():
        for each in command.params:
            chooses = each.name == "group" and each.param_type_name == "option"
            if each.name in NAMING and not chooses and words not in named:
                silent.add(words)
    looking = {words for words in silent if words.split()[0] in ("ekey", "group")}  # by the name that it has
    assert silent - looking == set(OTHERS) & silent
    assert len(WAYS) >= 14, WAYS
    assert {"pair --name", "rename alias", "name text", "group add group", "ekey send person"} <= set(WAYS)


@pytest.fixture
def silence(alone, monkeypatch):  # noqa: F811
    """The same, and whatever reaches for a gateway or a lock is noted."""
    reached = []

    def reach_out(*_, **__):
        reached.append(1)
        raise HostError("net", "nobody is there")

    monkeypatch.setattr(reach.Broker, "connect", reach_out)
    monkeypatch.setattr(common, "run_near", reach_out)
    return reached


def words_for(way, value):
    words, parameter = WAYS[way]
    command = [*words.split(), *given(COMMANDS[words])]
    if parameter.param_type_name == "option":
        return [*command, parameter.opts[0], value]
    place = [each.name for each in COMMANDS[words].params if each.param_type_name == "argument" and each.required]
    at = len(words.split()) + place.index(parameter.name)
    return [*command[:at], value, *command[at + 1 :]]


EACH = [(way, kind) for way in WAYS for kind in BAD if way in WHOLE or kind in FEW]


@pytest.mark.parametrize(("way", "kind"), EACH)
def test_no_command_takes_what_is_no_name(silence, way, kind):
    before = KeyBook().path.read_bytes()
    result = gatehouse(*words_for(way, BAD[kind]), "--json", input="739105\n")
    told = json.loads(result.stdout)
    assert (result.exit_code, told["ok"], told["code"]) == (2, False, "bad_request"), told
    assert WAYS[way][1].name in told["msg"] or "name" in told["msg"] or "group" in told["msg"], told
    assert not silence and KeyBook().path.read_bytes() == before
    assert all(text.is_safe(sign) or sign in "\n\t" for sign in result.output)


@pytest.mark.parametrize("way", WAYS)
def test_what_is_tidied_is_tidied_first_and_said(silence, way):
    result = gatehouse(*words_for(way, "  Haustu\u0308r  zwo "), input="739105\n")
    assert "taken as 'Haust\xfcr zwo'" in result.output
    assert "the %s" % shared.Called().what in result.output or "name" in result.output
    quiet = gatehouse(*words_for(way, "Hausta\u0308r"), input="739105\n")
    assert "taken as" not in quiet.output, "composed letters look the same"


def test_an_option_that_was_not_given_names_nothing(silence):
    result = gatehouse("passcode", "add", "Front door", input="739105\n")
    assert silence and "name" not in result.output


@pytest.mark.parametrize("kind", BAD)
def test_pairing_sends_nothing_for_a_bad_name(alone, kind, monkeypatch):  # noqa: F811
    import asyncio

    monkeypatch.setattr(pairing, "connect", lambda *_: pytest.fail("it connected"))
    with pytest.raises(HostError) as caught:
        asyncio.run(pairing.pair(None, KeyBook(), BAD[kind]))
    assert caught.value.code == "bad_request"


@pytest.mark.parametrize("kind", UNSEEN)
def test_key_files_and_key_books_keep_a_tidied_name_and_say_so(kind):
    row = {"lockMac": ENTRY.mac, "aesKeyStr": ENTRY.aes, "lockKey": "22", "lockAlias": BAD[kind]}
    report = key_files.read([row])
    assert not report.faults
    name = report.locks[0].entry.name
    assert text.name(name) == name and any("its name has signs" in note for note in report.notes)
    assert text.name(replace(ENTRY, name=BAD[kind]).name), "from a key book that somebody wrote by hand"


# --- what a board takes: over MQTT, over the console, over Bluetooth


@pytest.mark.parametrize("kind", UNSEEN)
def test_a_board_takes_no_name_that_nobody_sees(kind):
    bad = BAD[kind][:12]
    bundle = {"mac": "240ac4b00002", "aes": ENTRY.aes, "admin_ps": 1, "unlock_key": 2}
    assert from_bundle({**bundle, "name": "T\xfcr \U0001f6aa"}).name == "T\xfcr \U0001f6aa"
    with pytest.raises(errors.BadRequest):
        from_bundle({**bundle, "name": bad})
    with pytest.raises(errors.BadRequest):
        lock_settings.check("name_set", {"name": bad})
    with pytest.raises(errors.BadRequest):
        settings_lock.decode_name(bad.encode())
    for key in ("name", "mqtt_base"):
        assert any(key in each for each in gateway_settings.TABLE.faults({key: bad}, True)), key
    assert actions.name(bad)


def test_what_the_tools_take_every_board_takes_and_nobody_takes_controls_and_bidi_marks():
    bidi = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}
    for point in range(0x110000):
        sign = chr(point)
        if text.is_safe(sign) and unicodedata.category(sign) != "Cn":  # U+2065 is no character yet
            assert compat.is_shown(sign), hex(point)
        elif unicodedata.category(sign) in ("Cc", "Cs", "Zl", "Zp") or unicodedata.bidirectional(sign) in bidi:
            assert not compat.is_shown(sign), hex(point)


def test_a_long_name_of_a_lock_is_cut_for_the_gateway_at_a_whole_character():
    for name in ("x" * 64, "\u0416" * 64, "\U0001f6aa" * 64, "a" + "\u0416" * 40, "ab " * 20):
        entry = replace(ENTRY, name=name)
        assert entry.name.startswith(name.strip()[:40])
        args = import_args(entry)
        assert 40 <= len(args["name"].encode()) <= 48 and entry.name.startswith(args["name"])
        from_bundle(args)
