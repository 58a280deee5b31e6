"""What this computer makes of a lock's advertisements, and of frames that are damaged, foreign or late."""

import asyncio
from types import SimpleNamespace

import pytest
from bleak.exc import BleakError

from firmware.lib import advert, crypto, frame, opcodes
from firmware.lib.errors import AuthError, LinkError, LinkTimeout, LockRefused, ProtocolError
from firmware.lib.messages import common
from host_tools.errors import HostError
from host_tools.near import local_link, lock_link, sightings
from host_tools.owner.keybook import Entry

ADDRESS = bytes.fromhex("240ac4b00002")
KEY = bytes(range(16))


def heard(manufacturer, name="GH1_0200b0"):
    company = int.from_bytes(manufacturer[:2], "little")
    data = SimpleNamespace(manufacturer_data={company: manufacturer[2:]}, local_name=name, rssi=-60)
    return sightings.decode(SimpleNamespace(name=None), data)


LOCK = heard(advert.encode_manufacturer(ADDRESS, 2, 0, 80))


def test_a_lock_is_told_from_other_devices():
    found = heard(advert.encode_manufacturer(ADDRESS, 2, advert.SETTABLE, 80))
    assert (found.mac, found.is_ours, found.advert.settable, found.rssi_dbm) == ("24:0a:c4:b0:00:02", True, True, -60)
    assert not heard(advert.encode_manufacturer(ADDRESS, 2, 0, 80), "S202B_x").is_ours
    assert heard(bytes.fromhex("4c000215") + bytes(21)) is None
    assert heard(b"\x05\x03") is None


class Client:
    """A bleak client whose far end answers each request with the raw frames of `answers`; None drops the link."""

    answers: list = []
    commands: list = []

    def __init__(self, device, disconnected_callback, timeout):
        self._dropped = disconnected_callback
        self._written = b""
        self.is_connected = True

    async def connect(self):
        pass

    async def start_notify(self, _uuid, notified):
        self._notified = notified

    async def write_gatt_char(self, _uuid, chunk, response):
        self._written += bytes(chunk)
        if self._written.endswith(b"\r\n"):
            command = frame.decode(self._written).command
            self._written = b""
            Client.commands.append(command)
            for raw in Client.answers(command) if callable(Client.answers) else Client.answers:
                if raw is None:
                    await self.disconnect()
                else:
                    for part in frame.chunks(raw):
                        self._notified(None, bytearray(part))

    async def disconnect(self):
        self.is_connected = False
        self._dropped(self)


@pytest.fixture(autouse=True)
def bleak(monkeypatch):
    monkeypatch.setattr(lock_link, "BleakClient", Client)
    monkeypatch.setattr(lock_link, "challenges", lock_link.Challenges())


def ask(*answers, key=KEY, plain=b"\x01", timeout_ms=200, scene=None, command=opcodes.AUTO_LOCK):
    """The data that an exchange gives when the far end sends these frames."""

    async def work():
        Client.answers = answers
        async with lock_link.connect(LOCK, key, scene=scene) as link:
            return await link.exchange(command, plain, timeout_ms)

    return asyncio.run(work())


def answer(plain, key=KEY):
    return frame.encode(0x54, crypto.encrypt(key, plain))


GOOD = answer(common.success(opcodes.AUTO_LOCK, b"\x64\x01"))


def test_pushes_late_answers_and_damage_are_passed_over():
    push = answer(common.success(opcodes.STATUS, b"\x64"))
    damaged = bytearray(GOOD)
    damaged[-3] ^= 0xFF
    assert ask(push, bytes(damaged), GOOD) == b"\x64\x01"


def test_answers_of_another_protocol_or_scene_are_passed_over():
    plain = common.success(opcodes.AUTO_LOCK, b"\x64\x02")
    body = crypto.encrypt(KEY, plain)
    others = [
        frame.encode(0x54, body, protocol=protocol, version=version)
        for protocol in range(16)
        for version in range(8)
        if (protocol, version) != (5, 3)
    ]
    assert ask(*others, GOOD) == b"\x64\x01"
    with pytest.raises(LinkTimeout):
        ask(*others)
    with pytest.raises(LinkTimeout):
        ask(GOOD, scene=7)
    assert ask(frame.encode(0x54, body, 7), GOOD, scene=1) == b"\x64\x01"


def test_the_scene_of_the_first_answer_under_the_key_is_kept():
    async def work():
        Client.answers = [GOOD]
        async with lock_link.connect(LOCK, KEY) as link:
            await link.exchange(opcodes.AUTO_LOCK, b"\x01", 200)
            Client.answers = [frame.encode(0x54, crypto.encrypt(KEY, common.success(opcodes.AUTO_LOCK, b"\x64")), 9)]
            with pytest.raises(LinkTimeout):
                await link.exchange(opcodes.AUTO_LOCK, b"\x01", 200)

    asyncio.run(work())


def test_a_real_lock_s_answers_to_a_pairing_are_understood():
    """hardware-facts.md F21: an empty answer to 0x45, and the request's own opcode as the outer byte."""
    assert ask(frame.encode(0x54, b"", 2), command=opcodes.INIT) == b""
    plain = crypto.encrypt(KEY, common.success(opcodes.GET_AES_KEY, bytes(16)))
    assert ask(frame.encode(opcodes.GET_AES_KEY, plain), command=opcodes.GET_AES_KEY) == bytes(16)
    with pytest.raises(LinkTimeout):
        ask(frame.encode(opcodes.INIT, plain), command=opcodes.GET_AES_KEY)


def log_in(*numbers):
    """Log in once with each of these challenges -> the commands that the far end got, and the error."""
    Client.commands = []

    async def work():
        for number in numbers:
            data = {opcodes.CHECK_ADMIN: number.to_bytes(4, "big")}
            Client.answers = lambda command, data=data: [answer(common.success(command, data.get(command, b"")))]
            async with lock_link.connect(LOCK, KEY) as link:
                await link.login(1, 2)

    try:
        asyncio.run(work())
    except ProtocolError as err:
        return Client.commands, str(err)
    return Client.commands, None


def test_a_challenge_that_no_lock_draws_is_not_answered(tmp_path):
    assert log_in(5, 6) == ([0x41, 0x30, 0x41, 0x30], None)
    lock_link.challenges = lock_link.Challenges()
    for impossible in (0, 0x80000000, 0xFFFFFFFF):
        got, why = log_in(impossible)
        assert got == [0x41] and "impossible" in why
    got, why = log_in(5, 6, 5)
    assert got == [0x41, 0x30, 0x41, 0x30, 0x41] and "repeated" in why
    lock_link.challenges = lock_link.Challenges()
    assert log_in(*range(1, 66), 1)[1] is None  # 64 are remembered
    kept = tmp_path / "challenges.json"
    lock_link.keep_challenges(kept)
    assert log_in(9)[1] is None
    lock_link.keep_challenges(kept)
    got, why = log_in(9)
    assert got == [0x41] and "repeated" in why
    assert kept.stat().st_mode & 0o077 == 0


def test_a_refusal_is_the_exception_of_its_code():
    with pytest.raises(AuthError):
        ask(answer(common.failure(opcodes.AUTO_LOCK, 0x02)))
    with pytest.raises(LockRefused) as caught:
        ask(answer(common.failure(opcodes.AUTO_LOCK, 0x06)))
    assert caught.value.ble == 0x06


def test_silence_and_a_dropped_link_say_that_the_request_was_sent():
    with pytest.raises(LinkTimeout) as caught:
        ask()
    assert caught.value.sent
    with pytest.raises(LinkError) as caught:
        ask(None)
    assert caught.value.sent


def test_an_answer_under_an_unknown_key_means_paired_only_while_pairing():
    foreign = answer(common.success(opcodes.AUTO_LOCK, b"\x64\x01"), key=bytes(16))
    with pytest.raises(LinkTimeout):
        ask(foreign)
    with pytest.raises(LockRefused) as caught:
        ask(foreign, key=crypto.DEFAULT_KEY)
    assert caught.value.reason == "already_paired"


class Flaky:
    """A bleak client that fails to connect so many times."""

    failures = 0

    def __init__(self, *_arguments, **_options):
        pass

    async def connect(self):
        Flaky.failures -= 1
        if Flaky.failures >= 0:
            raise BleakError("disconnected")

    async def start_notify(self, *_arguments):
        pass

    async def disconnect(self):
        pass


async def _connect(failures, timeout_s):
    Flaky.failures = failures
    async with lock_link.connect(LOCK, KEY, timeout_s) as link:
        return link


def test_connecting_is_tried_again_until_the_deadline(monkeypatch):
    monkeypatch.setattr(lock_link, "BleakClient", Flaky)
    assert asyncio.run(_connect(1, 5)).key == KEY
    with pytest.raises(LinkError) as caught:
        asyncio.run(_connect(100, 0.5))
    assert not caught.value.sent


def test_a_shared_key_is_not_tried_as_an_administrator_s():
    """hardware-facts.md F84: a bundle without the administrator's number."""
    Client.commands = []

    async def work():
        async with local_link.admin_session(LOCK, Entry(LOCK.mac, "shared", KEY.hex(), 0, 4711)):
            pass

    with pytest.raises(HostError) as caught:
        asyncio.run(work())
    assert caught.value.code == "forbidden" and Client.commands == []
