"""What a computer beside a lock makes of advertisements and of frames that are damaged, foreign or late."""

import asyncio
from types import SimpleNamespace

import pytest
from bleak.exc import BleakError

from firmware.lib import advert, crypto, frame, opcodes
from firmware.lib.errors import AuthError, LinkError, LinkTimeout, LockRefused
from firmware.lib.messages import common
from host_tools import lock_link

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


def ask(*answers, key=KEY, plain=b"\x01", timeout_s=0.2):
    """The data that an exchange of 0x36 gives when the far end sends these frames."""

    async def work():
        client = Client(answers)
        found = heard(advert.encode_manufacturer(ADDRESS, 2, 0, 80))
        client.link = lock_link.LockLink(client, found, key)
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
