"""Key files as people have them: every shape and spelling gives the same lock, every fault has its place."""

import base64
import json
from dataclasses import asdict, replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from host_tools.cli.main import app
from host_tools.errors import HostError
from host_tools.owner import bundles, key_files
from host_tools.owner.keybook import Entry, KeyBook

MAC, AES = "24:0a:c4:b0:00:02", "0a112233445566778899aabbccddeeff"
ADMIN, UNLOCK = 56348732, 1034928817
OCTETS = bytes.fromhex(AES)
ENTRY = Entry(MAC, "Front door", AES, ADMIN, UNLOCK, "7654321", scene=2, group=1, org=1, features=0x3F, model="X")
ENTRY.zone, ENTRY.zone_rule = "UTC+02:00", "<+02>-2"
VIRTUAL = bundles.virtual_key(ENTRY)
# What the developer API answers to the administrator: hardware-facts.md F81
DEVELOPER = {
    "lockId": 4711,
    "lockName": "GH1_020000",
    "lockAlias": "Front door",
    "lockMac": MAC.upper(),
    "lockKey": bundles.encode_secret("%010d" % UNLOCK, 77),
    "adminPwd": bundles.encode_secret("%010d" % ADMIN, 200),
    "noKeyPwd": "7654321",
    "aesKeyStr": bundles.encode_aes_key(OCTETS),
    "lockVersion": {"protocolType": 5, "protocolVersion": 3, "scene": 2, "groupId": 1, "orgId": 1},
    "lockFlagPos": 3,
    "timezoneRawOffset": 7200000,
    "specialValue": 0x3F,
    "lockData": "b64ofnobodyknowswhat==",
    "pwdInfo": "encrypted text",
}


def with_(**members) -> dict:
    return {**VIRTUAL, **members}


def without(*names) -> dict:
    return {name: value for name, value in VIRTUAL.items() if name not in names}


def snake(name: str) -> str:
    return "".join("_" + sign.lower() if sign.isupper() else sign for sign in name)


SHAPES = {
    "one": VIRTUAL,
    "array": [VIRTUAL],
    "list": {"list": [VIRTUAL], "pageNo": 1, "total": 1},
    "data": {"code": 0, "data": {"keyInfos": [VIRTUAL]}},
    "by id": {"locks": {"4711": VIRTUAL}},
    "text in text": {"errcode": 0, "body": json.dumps([VIRTUAL])},
    "snake": {snake(key): value for key, value in VIRTUAL.items()},
    "kebab": {snake(key).replace("_", "-"): value for key, value in VIRTUAL.items()},
    "upper": {key.upper(): value for key, value in VIRTUAL.items()},
    "developer": DEVELOPER,
    "developer list": {"list": [DEVELOPER]},
    "lockData": [bundles.lock_data(ENTRY)],
    "keys.json with featureValue": [with_(featureValue="3F")],
    "key book": {"gatehouse_keys": 1, "locks": [asdict(ENTRY)]},
    "phone database": [{"ZLOCKMAC": MAC, "ZAESKEYSTR": AES, "ZADMINPS": str(ADMIN), "ZLOCKKEY": str(UNLOCK)}],
    "among other things": {"user": {"name": "Bob", "address": "Street 1"}, "keys": [VIRTUAL], "n": [1, [2]]},
    "numbers": with_(adminPs=ADMIN, unlockKey=UNLOCK),
    "ten digits": with_(adminPs="%010d" % ADMIN, unlockKey="%010d" % UNLOCK),
    "floats": with_(adminPs=float(ADMIN), unlockKey=float(UNLOCK)),
    "version as text": with_(lockVersion="5.3.2.1.1"),
    "version as list": with_(lockVersion=[5, 3, 2, 1, 1]),
    "version as JSON": with_(lockVersion=[5, 3, 2, 1, 1]),
    **{
        "aes %r" % value: with_(aesKeyStr=value)
        for value in (
            AES,
            AES.upper(),
            "0x" + AES,
            OCTETS.hex(":"),
            OCTETS.hex("-"),
            OCTETS.hex(" "),
            ", ".join("%02x" % octet for octet in OCTETS),
            ",".join("%x" % octet for octet in OCTETS),
            " %s\n" % AES,
            base64.b64encode(OCTETS).decode(),
            base64.urlsafe_b64encode(OCTETS).decode().rstrip("="),
            list(OCTETS),
        )
    },
    **{
        "mac %r" % value: with_(lockMac=value)
        for value in (
            MAC.upper(),
            MAC.replace(":", "-"),
            MAC.replace(":", ""),
            MAC.replace(":", "").upper(),
            "24:A:C4:B0:0:2",
            "240a.c4b0.0002",
            " %s " % MAC,
            "24 0a c4 b0 00 02",
        )
    },
}


@pytest.mark.parametrize("value", SHAPES.values(), ids=SHAPES)
def test_every_shape_gives_the_lock(value):
    report = key_files.read(key_files.loads(json.dumps(value)))
    assert [fault.line() for fault in report.faults] == []
    (found,) = report.locks
    entry = found.entry
    assert (entry.mac, entry.aes, entry.admin_ps, entry.unlock_key) == (MAC, AES, ADMIN, UNLOCK)
    assert (entry.scene, entry.group, entry.org) == (2, 1, 1)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_every_encoding_of_unicode(tmp_path, monkeypatch, encoding):
    monkeypatch.setenv("GATEHOUSE_KEYS", str(tmp_path / "keys.json"))
    path = tmp_path / "x.json"
    text = json.dumps([with_(lockAlias="Haustür 😀")], ensure_ascii=False)
    marked = encoding in ("utf-16-le", "utf-16-be")
    path.write_bytes(text.encode(encoding))
    for source in (path.read_bytes(), (("\ufeff" + text) if marked else text).encode(encoding)):
        result = CliRunner().invoke(app, ["keys", "import", "-", "--replace"], input=source)
        assert result.exit_code == 0, result.output
    assert [each.name for each in KeyBook().entries()] == ["Haustür 😀"]


def test_what_the_developer_api_gives_is_kept():
    (found,) = key_files.read(DEVELOPER).locks
    entry = found.entry
    assert (entry.name, entry.admin_passcode, entry.flag_pos) == ("Front door", "7654321", 3)
    assert (entry.zone, entry.zone_rule) == ("UTC+02:00", "<+02>-2")
    assert entry.features == 0x3F


@pytest.mark.parametrize("digits", ["0000000007", "2147483646", "0123456789"])
def test_a_coded_number_is_ten_digits_with_zeros_before_it(digits):
    for seed in range(256):
        assert key_files.secret(bundles.encode_secret(digits, seed)) == int(digits)


SECRETS = (AES, bundles.encode_aes_key(OCTETS), str(ADMIN), str(UNLOCK), "7654321", "s3cret")
WRONG = [
    ("lockMac", "nonsense", "bad_mac"),
    ("lockMac", "24:0a:c4:b0:00", "bad_mac"),
    ("lockMac", 7, "bad_mac"),
    ("lockMac", {"a": 1}, "bad_mac"),
    ("lockMac", "00:00:00:00:00:00", "bad_mac"),
    ("aesKeyStr", "s3cret", "bad_aes"),
    ("aesKeyStr", [1, 2], "bad_aes"),
    ("aesKeyStr", {"k": AES}, "bad_aes"),
    ("unlockKey", "s3cret", "bad_unlock_key"),
    ("unlockKey", True, "bad_unlock_key"),
    ("unlockKey", -1, "bad_unlock_key"),
    ("unlockKey", 1 << 32, "bad_unlock_key"),
    ("unlockKey", 1.5, "bad_unlock_key"),
    ("adminPs", [ADMIN], "bad_admin_ps"),
    ("adminPs", "s3cret-s3cret-s3", "bad_admin_ps"),
    ("noKeyPwd", "s3cret", "bad_admin_passcode"),
    ("lockVersion", "1.2", "bad_version"),
    ("lockFlagPos", "x", "bad_flag_pos"),
    ("timezoneRawOffSet", 10**12, "bad_utc_offset_ms"),
    ("specialValue", "x", "bad_special_value"),
    ("featureValue", "xyz", "bad_feature_value"),
    ("lockAlias", {"en": "Front"}, "bad_name"),
    ("pwdInfo", [{"year": 24}], "bad_seed_rows"),
]


@pytest.mark.parametrize(("name", "value", "code"), WRONG)
def test_a_fault_names_its_place_and_what_belongs_there_and_no_secret(name, value, code):
    report = key_files.read({"list": [VIRTUAL, with_(**{name: value})]})
    (fault,) = report.faults
    assert (fault.code, fault.where) == (code, "list[1].%s" % name)
    assert fault.expected
    assert not any(secret in fault.line() for secret in SECRETS)
    assert report.locks[0].entry.unlock_key == UNLOCK, "the good one is read"


@pytest.mark.parametrize("name", ["lockMac", "aesKeyStr", "unlockKey"])
def test_what_a_lock_needs_is_missed_by_name(name):
    for value in (without(name), with_(**{name: None}), with_(**{name: ""})):
        (fault,) = key_files.read([value]).faults
        assert fault.code == "missing"
        assert name in fault.line()


@pytest.mark.parametrize("value", [None, 1, "x", [], {}, [[[]]], {"a": {"b": "c"}}, {"address": "Street 1"}])
def test_a_file_without_locks_says_so(value):
    assert [fault.code for fault in key_files.read(value).faults] == ["no_locks"]


def test_an_unknown_zone_is_not_given():
    (found,) = key_files.read(bundles.lock_data(ENTRY)).locks
    assert "zone_rule" not in found.given
    (found,) = key_files.read(with_(timezoneRawOffSet=0)).locks
    assert (found.entry.zone_rule, "zone_rule" in found.given) == ("UTC0", True)


def test_of_several_entries_the_administrator_s_counts_whatever_the_order():
    shared = with_(adminPs="", userType="110302", unlockKey="5", lockAlias="Guest key")
    for order in ([VIRTUAL, shared], [shared, VIRTUAL], [shared, VIRTUAL, shared]):
        report = key_files.read(order)
        (found,) = report.locks
        assert (found.entry.admin_ps, found.entry.unlock_key, found.entry.name) == (ADMIN, UNLOCK, "Front door")
        assert "administrator" in report.notes[0]


@pytest.fixture
def book(tmp_path, monkeypatch):
    monkeypatch.setenv("GATEHOUSE_KEYS", str(tmp_path / "keys.json"))
    monkeypatch.setenv("COLUMNS", "200")
    return KeyBook()


def take(value, *options):
    return CliRunner().invoke(app, ["keys", "import", "-", *options], input=json.dumps(value))


def test_replacing_completes_and_loses_nothing(book):
    mine = replace(
        ENTRY,
        name="Our door",
        seeds="18" + "00" * 60,
        erase_code="7654321",
        flag_pos=5,
        features=0xFF,
        credentials=[{"kind": "card", "name": "Ada", "number": 1, "who": [7]}],
        ekeys=[{"uid": 3, "person": "Mia"}],
        minted=[{"kind": 1, "start": 1, "number": 2, "who": 3}],
        paired_at=1790000000,
        scene=9,
    )
    book.put(mine)
    assert take(VIRTUAL).exit_code == 1
    assert "--replace" in take(VIRTUAL).stderr
    assert book.find(MAC) == mine
    bare = without("timezoneRawOffSet", "specialValue", "lockFlagPos")
    assert take(bare, "--replace").exit_code == 0
    assert book.find(MAC) == mine
    assert take(with_(unlockKey="99", noKeyPwd="1234567"), "--replace").exit_code == 0
    changed = book.find(MAC)
    assert (changed.unlock_key, changed.admin_passcode, changed.name) == (99, "1234567", "Our door")
    kept = ("seeds", "credentials", "ekeys", "minted", "erase_code", "paired_at", "scene", "model")
    assert [getattr(changed, name) for name in kept] == [getattr(mine, name) for name in kept]
    assert (changed.flag_pos, changed.features) == (5, 0x3F)


def test_another_pairing_keeps_the_former_inside(book):
    book.put(ENTRY)
    assert take(with_(aesKeyStr="ff" * 16), "--replace").exit_code == 0
    entry = book.find("Front door")
    assert entry.aes == "ff" * 16
    assert entry.earlier["aes"] == AES


def test_a_shared_key_never_takes_the_place_of_the_administrator_s(book):
    book.put(ENTRY)
    for aes in (AES, "ff" * 16):
        result = take(with_(adminPs="", userType="110302", aesKeyStr=aes), "--replace")
        assert result.exit_code == 1
        assert "shared" in result.stderr
        assert book.find(MAC) == ENTRY
    assert take(VIRTUAL, "--replace").exit_code == 0


def test_an_administrator_s_key_completes_a_shared_one(book):
    assert take(with_(adminPs="")).exit_code == 0
    assert take(VIRTUAL, "--replace").exit_code == 0
    assert book.find(MAC).admin_ps == ADMIN


def test_one_bad_entry_keeps_out_no_good_one_unless_asked(book):
    file = [VIRTUAL, with_(lockMac="x"), with_(lockMac="24:0a:c4:b0:00:03", aesKeyStr="x", unlockKey="y")]
    strict = take(file, "--strict")
    assert (strict.exit_code, book.entries()) == (1, [])
    result = take(file)
    assert result.exit_code == 1
    assert [each.mac for each in book.entries()] == [MAC]
    assert [line.split(":")[0] for line in result.stderr.splitlines() if line.startswith("error")] == [
        "error bad_mac",
        "error bad_aes",
        "error bad_unlock_key",
    ]
    told = json.loads(take(file, "--json", "--replace").stdout)
    assert [fault["where"] for fault in told["faults"]] == ["[1].lockMac", "[2].aesKeyStr", "[2].unlockKey"]
    assert told["taken"][0]["state"] == "known already"
    assert json.loads(take(with_(unlockKey="9"), "--json", "--replace").stdout)["taken"][0]["state"] == "completed"


def test_our_own_key_book_moves_to_another_computer(book, tmp_path, monkeypatch):
    mine = replace(
        ENTRY, seeds="18" + "00" * 60, credentials=[{"kind": "card", "name": "Ada", "number": 1, "who": [7]}]
    )
    book.put(mine)
    monkeypatch.setenv("GATEHOUSE_KEYS", str(tmp_path / "other.json"))
    result = CliRunner().invoke(app, ["keys", "import", str(tmp_path / "keys.json")])
    assert result.exit_code == 0, result.output
    assert KeyBook().entries() == [mine]
    phrase = tmp_path / "phrase"
    phrase.write_text("open sesame\n")
    book.protect("open sesame")
    monkeypatch.setenv("GATEHOUSE_KEYS", str(tmp_path / "third.json"))
    monkeypatch.setenv("GATEHOUSE_PASSPHRASE_FILE", str(phrase))
    assert CliRunner().invoke(app, ["keys", "import", str(tmp_path / "keys.json")]).exit_code == 0
    assert KeyBook().entries() == [mine]  # in the clear, as this one always was
    KeyBook().protect("another")
    phrases = iter(["another", "open sesame", "another"])
    both = KeyBook(passphrase=lambda again: next(phrases))
    assert both.entries() == [mine]
    assert both.locks_in(json.loads((tmp_path / "keys.json").read_text()))[0]["mac"] == mine.mac
    both.put(mine)  # with its own passphrase still
    assert KeyBook(passphrase=lambda again: "another").entries() == [mine]


def test_lines_of_json_are_a_file_too():
    lines = "%s\n\n%s\n" % (json.dumps(VIRTUAL), json.dumps(with_(lockMac="24:0a:c4:b0:00:03")))
    assert len(key_files.read(key_files.loads(lines)).locks) == 2
    for broken in ("", "{", "[1,", "NaN", "{}x", "[" * 100000, "hello\nworld"):
        with pytest.raises(HostError):
            key_files.loads(broken)


NAMES = sorted(VIRTUAL) + sorted(DEVELOPER) + ["address", "privateData", "admin", "aesKey", "locks", "list", "earlier"]
LEAVES = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=40)
    | st.sampled_from([MAC, AES, str(ADMIN), "0", "", "[/x]", "\x1b[31m", "{}", "[]", '{"lockMac":1}', 1 << 40, -1])
)  # fmt: skip
FILES = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(NAMES) | st.text(max_size=8), inner, max_size=8)
        | st.dictionaries(st.sampled_from(sorted(VIRTUAL)), inner, max_size=4).map(lambda some: {**VIRTUAL, **some})
        | st.dictionaries(st.sampled_from(sorted(DEVELOPER)), inner, max_size=4).map(lambda some: {**DEVELOPER, **some})
    ),
    max_leaves=20,
)


@given(value=FILES)
@settings(max_examples=150, deadline=None)
def test_no_file_ends_in_a_traceback(value):
    report = key_files.read(value)
    assert report.locks or report.faults
    for found in report.locks:
        for known in (ENTRY, replace(ENTRY, mac=found.entry.mac)):
            try:
                key_files.merged(replace(known, mac=found.entry.mac), found)
            except HostError as error:
                assert error.code == "refused"


@given(value=FILES | st.binary(max_size=60))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_import_ends_in_a_traceback(tmp_path, monkeypatch, value):
    monkeypatch.setenv("GATEHOUSE_KEYS", str(tmp_path / "keys.json"))
    source = value if isinstance(value, bytes) else json.dumps(value).encode()
    for command in (["keys", "import", "-", "--replace"], ["ekey", "open", "-"], ["keys", "list"]):
        if command[0] == "ekey" and not isinstance(value, bytes):
            continue  # what is a key would be looked for over Bluetooth
        result = CliRunner().invoke(app, command, input=source)
        assert result.exception is None or isinstance(result.exception, SystemExit), (command, value)
