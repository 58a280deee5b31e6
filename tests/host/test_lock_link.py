"""What a computer beside a lock makes of advertisements and of frames that are damaged, foreign or late."""

import asyncio
from types import SimpleNamespace

import pytest
from bleak.exc import BleakError

from firmware.lib import advert, crypto, frame, opcodes
from firmware.lib.errors import AuthError, LinkError, LinkTimeout, LockRefused, ProtocolError
from firmware.lib.messages import common
from host_tools.near import lock_link

ADDRESS = bytes.fromhex("240ac4b00002")
KEY = bytes(range(16))


def heard(manufacturer, name="GH1_0200b0"):
    company = int.from_bytes(manufacturer[:2], "little")
    data = SimpleNamespace(manufacturer_data={company: manufacturer[2:]}, local_name=name, rssi=-60)
    return lock_link.sighting(SimpleNamespace(name=None), data)


def test_a_lock_is_told_from_other_devices():
    found = heard(advert.encode_manufacturer(ADDRESS, 2, advert.SETTABLE, 80))
    assert (found.mac, found.is_ours, found.advert.settable, found.rssi_dbm) == ("24:0a:c4:b0:00:02", True, True, -60)
    assert not heard(advert.encode_manufacturer(ADDRESS, 2, 0, 80), "S202B_x").is_ours
    assert heard(bytes.fromhex("4c000215") + bytes(21)) is None
    assert heard(b"\x05\x03") is None


class Client:
    """A connection whose far end answers each request with the raw frames of `answers`."""

    def __init__(self, answers):
        self.answers = answers
        self.link = None
        self.written = b""

    async def write_gatt_char(self, _uuid, chunk, response):
        self.written += bytes(chunk)
        if self.written.endswith(b"\r\n"):
            for raw in self.answers:
                if raw is None:
                    self.link.dropped(self)
                else:
                    for part in frame.chunks(raw):
                        self.link.heard(None, bytearray(part))


def ask(*answers, key=KEY, plain=b"\x01", timeout_s=0.2, scene=None):
    """The data that an exchange of 0x36 gives when the far end sends these frames."""

    async def work():
        client = Client(answers)
        found = heard(advert.encode_manufacturer(ADDRESS, 2, 0, 80))
        client.link = lock_link.LockLink(client, found, key, scene)
        return await client.link.exchange(opcodes.AUTO_LOCK, plain, timeout_s)

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
        client = Client([GOOD])
        link = client.link = lock_link.LockLink(client, heard(advert.encode_manufacturer(ADDRESS, 2, 0, 80)), KEY)
        await link.exchange(opcodes.AUTO_LOCK, b"\x01", 0.2)
        client.answers = [frame.encode(0x54, crypto.encrypt(KEY, common.success(opcodes.AUTO_LOCK, b"\x64")), 9)]
        with pytest.raises(LinkTimeout):
            await link.exchange(opcodes.AUTO_LOCK, b"\x01", 0.2)

    asyncio.run(work())


def log_in(*numbers, path=None):
    """Log in once with each of these challenges -> the commands that the far end got."""
    lock_link.challenges = lock_link.Challenges(path)
    got = []

    async def work():
        for number in numbers:
            client = Client([])
            client.link = lock_link.LockLink(client, heard(advert.encode_manufacturer(ADDRESS, 2, 0, 80)), KEY)

            part = bytearray()

            async def write(_uuid, chunk, response, client=client, number=number, part=part):
                part += chunk
                if part.endswith(b"\r\n"):
                    command = part[9]
                    part.clear()
                    got.append(command)
                    data = number.to_bytes(4, "big") if command == opcodes.CHECK_ADMIN else b""
                    for each in frame.chunks(answer(common.success(command, data))):
                        client.link.heard(None, bytearray(each))

            client.write_gatt_char = write
            await client.link.login(1, 2)

    try:
        asyncio.run(work())
    except ProtocolError as err:
        return got, str(err)
    return got, None


def test_a_challenge_that_no_lock_draws_is_not_answered(tmp_path):
    assert log_in(5, 6) == ([0x41, 0x30, 0x41, 0x30], None)
    for impossible in (0, 0x80000000, 0xFFFFFFFF):
        got, why = log_in(impossible)
        assert got == [0x41] and "impossible" in why
    got, why = log_in(5, 6, 5)
    assert got == [0x41, 0x30, 0x41, 0x30, 0x41] and "repeated" in why
    assert log_in(*range(1, 66), 1)[1] is None  # 64 are remembered
    kept = tmp_path / "challenges.json"
    assert log_in(9, path=kept)[1] is None
    got, why = log_in(9, path=kept)
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
    async with lock_link.connect(heard(advert.encode_manufacturer(ADDRESS, 2, 0, 80)), KEY, timeout_s) as link:
        return link


def test_connecting_is_tried_again_until_the_deadline(monkeypatch):
    monkeypatch.setattr(lock_link, "BleakClient", Flaky)
    assert asyncio.run(_connect(1, 5)).key == KEY
    with pytest.raises(LinkError) as caught:
        asyncio.run(_connect(100, 0.5))
    assert not caught.value.sent
