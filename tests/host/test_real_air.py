"""The radio's part of the profile `real`: attempts that fail, bursts, and answers that never come. Bumble hosts, no
board.
"""

import asyncio

import pytest
from bumble import hci

from firmware.lib import frame, opcodes
from host_tools.sim.air import real
from host_tools.sim.air.air import Air
from host_tools.sim.air.air_host import AirHost
from tests.host.test_air import LOCK, NOT_ESTABLISHED, OTHER, PHONE, Talk, attempt, eventually

FLAGS = b"\x02\x01\x06"


def advertisement(flags: int, battery: int = 90) -> bytes:
    """Of a lock, as 17 bytes of manufacturer data."""
    return FLAGS + b"\x12\xff\x05\x03\x02" + bytes((flags, battery)) + bytes(12)


@pytest.mark.parametrize("profile", ["ideal", "real"])
def test_half_of_the_attempts_to_such_a_lock_fail_on_any_air(profile: str) -> None:
    async def story() -> None:
        air = Air(3, profile)
        air.manners[LOCK] = real.manners()
        lock, phone = await AirHost(air, LOCK).start(), await AirHost(air, PHONE).start()
        await lock.advertise(20)
        tries = 60
        for _ in range(tries):
            await attempt(phone)
        failed = [each for each in air.history if each.reason == NOT_ESTABLISHED]
        assert 0.3 * tries < len(failed) < 0.7 * tries
        if profile == "ideal":  # where another lock is always reached
            other = await AirHost(air, OTHER).start()
            await other.advertise(20)
            at = air.history[-1].number
            for _ in range(20):
                await attempt(phone, OTHER)
            assert NOT_ESTABLISHED not in {each.reason for each in air.history if each.number > at}

    asyncio.run(story())


def test_bursts_of_ten_every_two_minutes_and_at_once_when_the_flags_change() -> None:
    bursts = real.Bursts()
    spoke: list[float] = []

    def run(from_s: float, to_s: float, data: bytes) -> int:
        """How many advertisements leave, with one due every 0.1 s."""
        before = len(spoke)
        for tenth in range(round(10 * from_s), round(10 * to_s)):
            if bursts.speaks(tenth / 10, data):
                spoke.append(tenth / 10)
        return len(spoke) - before

    assert run(5, 125, advertisement(0)) == 10 and spoke[-1] < 6
    assert run(125, 200, advertisement(0)) == 10 and 125 <= spoke[-10] and spoke[-1] < 126
    assert run(200, 210, advertisement(0, battery=100)) == 0  # the battery is no news
    assert run(210, 220, advertisement(1)) == 10 and spoke[-10] == 210
    assert run(220, 800, advertisement(1)) == 40 and spoke[-40] == 330


def test_bursts_are_what_a_scanner_hears_and_leaps_count() -> None:
    async def story() -> None:
        air = Air(1, "ideal")
        air.manners[LOCK] = real.manners([real.BURSTS])
        lock, phone = await AirHost(air, LOCK).start(), await AirHost(air, PHONE).start()
        heard: list[bytes] = []
        phone.chip.on_report = lambda report: heard.append(bytes(report.data))
        await phone.device.start_scanning(legacy=True, active=False)
        await lock.advertise(20, advertisement(0))
        for bursts in (1, 2):
            at = lock.chip.adverts
            await eventually(lambda at=at: lock.chip.adverts > at + 20)
            assert heard == [advertisement(0)] * 10 * bursts
            air.leap_s += real.BURST_EVERY_S

    asyncio.run(story())


@pytest.mark.parametrize("command, is_lost", [(opcodes.UNLOCK, True), (opcodes.LOCK, True), (opcodes.STATUS, False)])
def test_only_the_answer_to_a_movement_gets_lost_and_the_next_one_comes(command: int, is_lost: bool) -> None:
    async def story() -> None:
        air = Air(1, "ideal")
        manners = air.manners[LOCK] = real.manners([real.LOST_ANSWERS])
        manners.answer_loss, manners.connect_loss = 1.0, 0.0
        answers = [frame.encode(opcodes.ANSWER, bytes([n]) * 48, 2) for n in range(3)]
        async with Talk(air) as talk:

            async def ask(opcode: int, *frames: bytes) -> None:
                seen = len(talk.at_lock)
                for part in frame.chunks(frame.encode(opcode, bytes(16), 2)):
                    await talk.write(part)
                await eventually(lambda: len(talk.at_lock) == seen + 2)
                for each in frames:
                    for part in frame.chunks(each, shaped=True):
                        await talk.notify(part)

            async def until_heard(*frames: bytes) -> None:
                await eventually(lambda: b"".join(talk.at_phone) == b"".join(frames))

            await ask(command, answers[0], answers[1])  # the second is a push
            await until_heard(*answers[is_lost:2])
            await ask(opcodes.STATUS, answers[2])
            await until_heard(*answers[is_lost:])
            assert len(talk.at_lock) == 4 and not talk.ends
            assert manners.lost == is_lost

    asyncio.run(story())


def test_one_answer_in_ten_gets_lost_by_the_seed() -> None:
    def lost(seed: int) -> list[int]:
        air = Air(seed)
        manners = real.manners([real.LOST_ANSWERS])
        value = frame.encode(opcodes.UNLOCK, bytes(16), 2)[:20]
        octets = bytes((27, 0, 4, 0, 0x52, 3, 0)) + value
        request = hci.HCI_AclDataPacket(1, 0, 0, len(octets), octets)
        octets = bytes((9, 0, 4, 0, 0x1B, 3, 0)) + b"\r\n"
        answer = hci.HCI_AclDataPacket(1, 0, 0, len(octets), octets)
        swallowed = []
        for number in range(1000):
            assert not manners.swallows(1, "central", request, air.stream)
            if manners.swallows(1, "peripheral", answer, air.stream):
                swallowed.append(number)
        return swallowed

    assert 70 < len(lost(1)) < 130
    assert lost(1) == lost(1) != lost(2)
