"""`gatehouse backup` and `restore`: all of it comes back, twice is once, what is newer stays, and no damaged or foreign
file changes anything."""

import itertools
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from host_tools.errors import HostError
from host_tools.gateway.records_choice import Choice
from host_tools.gateway.records_store import RecordStore
from host_tools.owner import backup_file, groups, merging, names
from host_tools.owner.keybook import Entry, KeyBook
from tests.host import postgres
from tests.host.gateway_end import pinned
from tests.host.test_cli import ENTRY, gatehouse
from tests.host.test_records_identity import DAY, batch, item, log_of

GATEWAY = "240ac4a00000"
OTHER = Entry("24:0a:c4:b0:00:03", "Back door", "ff" * 16, 33, 44)
server = postgres.fixture()


@pytest.fixture
def house(tmp_path, monkeypatch):
    """Somebody's computer with all that a backup holds; `move(name)` goes to another, empty one."""

    def move(name, records=None):
        folder = tmp_path / name
        folder.mkdir(exist_ok=True)
        monkeypatch.setenv("GATEHOUSE_KEYS", str(folder / "keys.json"))
        monkeypatch.setenv("GATEHOUSE_RECORDS", records or str(folder / "records.db"))

    phrase = tmp_path / "phrase"
    phrase.write_text("open sesame\n")
    monkeypatch.setenv("GATEHOUSE_PASSPHRASE_FILE", str(phrase))
    monkeypatch.chdir(tmp_path)
    move("old")
    book = KeyBook()
    book.put(ENTRY)
    book.put(OTHER)
    book.change_gateway(GATEWAY, lambda known: pinned(GATEWAY))
    names.remember(book, ENTRY.mac, "passcode", None, "Ada", secret="864201")
    groups.add(book, "Flat", book.find(ENTRY.mac))
    with RecordStore() as store:
        store.keep(ENTRY.id, replace(batch(log_of(*range(1200)), gap=3), proven=True))
        store.keep(ENTRY.id, batch([item(7, DAY + 420, type=17)]))
        store.keep(OTHER.id, batch(log_of(0, 1, 2)))
        store.delete(ENTRY.id, Choice(ids=[store.find(ENTRY.id, 5)[0]["id"]]))
    return move


def contents():
    """All that is here, as one value."""
    book = KeyBook()
    with RecordStore() as store:
        records = {
            lock: [{key: value for key, value in each.items() if key != "id"} for each in store.every(lock, Choice())]
            for lock in store.locks()
        }
        return book.entries(), book.gateways(), records, store.lost(ENTRY.id)


@pytest.mark.parametrize("is_plain", [False, True])
def test_all_comes_back_on_an_empty_computer_and_twice_is_once(house, tmp_path, is_plain):
    assert gatehouse("backup", "b", *(["--unencrypted"] if is_plain else [])).exit_code == 0
    octets = (tmp_path / "b").read_bytes()
    assert (tmp_path / "b").stat().st_mode & 0o777 == 0o600 and ENTRY.aes.encode() not in octets
    before = contents()
    house("new")
    for _ in range(2):
        done = gatehouse("restore", "b")
        assert done.exit_code == 0, done.output
        assert contents() == before
    assert "restored 0 locks, 0 gateways and 0 records" in done.stdout
    with RecordStore() as store:
        assert store.keep(ENTRY.id, batch(log_of(5))) == 0, "what was deleted stays away"


def test_into_postgresql(house, server):
    assert gatehouse("backup", "b").exit_code == 0
    before = contents()
    house("new", server.empty())
    assert gatehouse("restore", "b").exit_code == 0
    assert contents() == before


def test_what_is_newer_stays(house):
    assert gatehouse("backup", "b").exit_code == 0
    book = KeyBook()
    paired = replace(book.find(OTHER.mac), aes="ee" * 16, paired_at=1800000000, credentials=[])
    book.put(paired)
    names.mark_deleted(book, ENTRY.mac, "passcode", secret="864201")
    names.remember(book, ENTRY.mac, "card", 3, "Ben's card", secret="3661413478")
    owned_again = replace(pinned(GATEWAY), key="ab" * 32)
    book.change_gateway(GATEWAY, lambda known: owned_again)
    with RecordStore() as store:
        store.keep(ENTRY.id, batch(log_of(1300)))
        store.delete(ENTRY.id, Choice(ids=[store.find(ENTRY.id, 6)[0]["id"]]))
    before = contents()
    done = gatehouse("restore", "b")
    assert done.exit_code == 0 and "another key here" in done.output
    assert contents() == before


def test_a_lock_that_was_paired_before_the_backup_keeps_its_older_keys_too(house):
    KeyBook().put(replace(ENTRY, paired_at=1800000000, aes="aa" * 16))
    assert gatehouse("backup", "b").exit_code == 0
    house("new")
    KeyBook().put(ENTRY)
    assert gatehouse("restore", "b").exit_code == 0
    found = KeyBook().find(ENTRY.mac)
    assert found.aes == "aa" * 16 and found.earlier["aes"] == ENTRY.aes


def test_without_a_passphrase_nothing_is_written(house, tmp_path, monkeypatch):
    (tmp_path / "phrase").write_text("\n")
    assert gatehouse("backup", "b").exit_code != 0 and not (tmp_path / "b").exists()


def test_a_wrong_passphrase_changes_nothing(house, tmp_path):
    assert gatehouse("backup", "b").exit_code == 0
    (tmp_path / "phrase").write_text("wrong\n")
    house("new")
    done = gatehouse("restore", "b")
    assert done.exit_code != 0 and "passphrase" in done.output and not (tmp_path / "new/keys.json").exists()


@pytest.mark.parametrize("phrase", ["x", None])
def test_no_damaged_file_gives_a_row(tmp_path, phrase):
    """Cut at every place, a bit turned at every tenth, pieces left out, put together anew, or something behind."""
    path = tmp_path / "b"
    rows = [{"n": number} for number in range(3)]
    backup_file.write(path, rows, phrase)
    assert list(backup_file.read(path, lambda: "x")) == rows
    good = path.read_bytes()
    damaged = [good[:at] for at in range(0, len(good), 7)] + [good + b"x", good + good, b""]
    for at in range(0, len(good), 10):
        damaged.append(good[:at] + bytes((good[at] ^ 4,)) + good[at + 1 :])
    costs = {}
    for each in damaged:
        path.write_bytes(each)
        head = each.split(b"\n")[0]
        if phrase and head != good.split(b"\n")[0]:
            costs[head] = costs.get(head, 0) + 1
            if len(costs) > 4:
                continue  # each other salt takes as long as a passphrase does
        with pytest.raises(HostError):
            next(backup_file.read(path, lambda: "x"))


def test_a_file_that_asks_for_gigabytes_is_refused(tmp_path):
    path = tmp_path / "b"
    path.write_text('{"gatehouse_backup": 1, "n": 1073741824, "r": 8, "p": 1, "kdf": "scrypt", "salt": "00"}\n')
    with pytest.raises(HostError, match="no backup"):
        next(backup_file.read(path, lambda: "x"))


ROWS = st.lists(
    st.builds(
        lambda kind, who, name, gone: {"kind": kind, "who": [who], "name": name, "number": None, "gone": gone},
        st.sampled_from(["passcode", "card"]),
        st.integers(0, 3),
        st.sampled_from("ab"),
        st.sampled_from([None, 1]),
    ),
    max_size=4,
    unique_by=lambda each: (each["kind"], each["who"][0]),
)


@given(here=ROWS, kept=ROWS)
def test_merging_loses_nothing_that_is_here_and_doubles_nothing(here, kept):
    known, old = (replace(ENTRY, credentials=each) for each in (here, kept))
    made = merging.merged(known, old).credentials
    assert made[: len(here)] == here
    marks = [(each["kind"], each["who"][0]) for each in made]
    assert len(set(marks)) == len(marks)
    assert set(marks) == {(each["kind"], each["who"][0]) for each in itertools.chain(here, kept)}
    assert merging.merged(replace(ENTRY, credentials=made), old).credentials == made
