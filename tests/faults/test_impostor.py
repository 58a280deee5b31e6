"""T-IMP-1, T-IMP-2, T-DWN-1, T-REM-1: who gets an answer to a challenge, and who gets none (security.md 2.1, 3.7).

The real lock is paired and handed to the gateway, then loses its power, and the impostor takes its place on the air.
"""

import asyncio
import random

import pytest

from firmware.lib import advert, crypto, frame, opcodes
from firmware.lib.errors import FirmwareError
from firmware.lib.messages import common
from host_tools.near import lock_link, sightings
from host_tools.owner.keybook import Entry
from tests.faults.impostor import Impostor
from tests.faults.rows import Row
from tests.faults.tap import Tap
from tests.system.bench import Bench

_SUMS = (opcodes.CHECK_RANDOM, opcodes.UNLOCK, opcodes.LOCK)  # what carries an answer to a challenge
_GATEWAY = {"expiry_s": 2}
_BOTH = 1 << 0 | 1 << 4 | 1 << 8 | 1 << 10 | 1 << 14


def _answer(key: bytes, plain: bytes, scene: int = 2, protocol: int = 5, version: int = 3) -> bytes:
    return frame.encode(opcodes.ANSWER, crypto.encrypt(key, plain), scene, 1, 1, protocol=protocol, version=version)


def _lock_like(command: int, challenge: int) -> bytes:
    """The plain answer of a lock that agrees to everything."""
    data = {
        opcodes.CHECK_ADMIN: challenge.to_bytes(4, "big"),
        opcodes.CHECK_USER: challenge.to_bytes(4, "big"),
        opcodes.REMOTE_UNLOCK: b"\x50\x01\x01",
        opcodes.STATUS: b"\x50\x00\x02",
        opcodes.LOG: b"\x00\x00",
        opcodes.GET_CLOCK: bytes((26, 11, 26, 12, 0, 0)),
        opcodes.FEATURES: b"\x50" + _BOTH.to_bytes(4, "big"),
    }
    return common.success(command, data.get(command, b"\x50"))


async def _alone(bench: Bench) -> Entry:
    """Adopt the lock and take it off the air for good."""
    entry = await bench.adopt()
    await bench.until_linkless()
    await bench.lock.kill()
    return entry


async def _host_logs_in(entry: Entry) -> str:
    """What the owner's tool says to whoever answers for the lock."""
    found = await sightings.scan(lambda heard: heard.mac == entry.mac, 20)
    assert found
    try:
        async with lock_link.connect(found, bytes.fromhex(entry.aes), 5.0, entry.pinned_scene) as link:
            await asyncio.wait_for(link.login(entry.admin_ps, entry.unlock_key), 4)
    except (FirmwareError, TimeoutError) as err:
        return type(err).__name__
    return ""


def _without_key(entry: Entry, draw: random.Random) -> dict:
    """Ways to answer for somebody who has not got the key."""
    key = bytes.fromhex(entry.aes)
    other = bytes(each ^ 1 for each in key)
    challenge = draw.randrange(1, 1 << 31)

    def garbage(request):
        body = draw.randbytes(16 * draw.randrange(1, 4))
        return [frame.encode(opcodes.ANSWER, body, 2)]

    return {
        "another key": lambda request: [_answer(other, _lock_like(request.command, challenge))],
        "no encryption": lambda request: [frame.encode(opcodes.ANSWER, _lock_like(request.command, challenge), 2)],
        "the request again": lambda request: [frame.encode(opcodes.ANSWER, request.payload, 2)],
        "garbage": garbage,
        "the default key": lambda request: [_answer(crypto.DEFAULT_KEY, _lock_like(request.command, challenge))],
        "silence": lambda request: [],
        "an empty frame": lambda request: [frame.encode(opcodes.ANSWER, b"", 2)],
    }


@pytest.mark.row("T-IMP-1", "impostor without the key: no challenge answered, no unlock frame, an error to see")
def test_an_impostor_without_the_key_gets_no_answer_to_a_challenge(tmp_path, row: Row) -> None:
    async def story() -> None:
        draw = random.Random(row.seed)
        async with Bench(tmp_path, seed=row.seed, gateway_settings=_GATEWAY) as bench:
            entry = await _alone(bench)
            ways = _without_key(entry, draw)
            with Tap(bench.site.radio.air, entry.mac, bytes.fromhex(entry.aes)) as tap:
                async with Impostor(bench.site.radio.air, entry.mac, lambda request: []) as impostor:
                    for number in range(row.count(3, 70)):
                        name = list(ways)[number % len(ways)]
                        impostor.answers = ways[name]
                        result = await bench.ask("unlock")
                        row.check(
                            not result["ok"] and result["code"] in ("protocol", "link", "link_timeout"),
                            "%s: the gateway said %s" % (name, result["code"]),
                        )
                        if number % len(ways) == 0:
                            row.check(await _host_logs_in(entry), "%s: the host tool saw nothing" % name)
                    row.check(impostor.asked, "the impostor was never asked")
            row.check(not tap.count(*_SUMS), "%d answers to challenges" % tap.count(*_SUMS))
            row.figure("frames", len(tap.frames))
            row.figure("sums", tap.count(*_SUMS))

    asyncio.run(story())


@pytest.mark.row("T-IMP-2", "impostor with the key and one challenge: stopped at its second use, with an alarm")
def test_an_impostor_with_a_fixed_challenge_is_stopped_at_its_second_use(tmp_path, row: Row) -> None:
    async def story() -> None:
        async with Bench(tmp_path, seed=row.seed, gateway_settings=_GATEWAY) as bench:
            entry = await _alone(bench)
            key = bytes.fromhex(entry.aes)
            state = {"challenge": 0}

            def answers(request: frame.Frame) -> list[bytes]:
                return [_answer(key, _lock_like(request.command, state["challenge"]))]

            lock_link.challenges = lock_link.Challenges()
            seen = len(bench.mqtt.messages)
            with Tap(bench.site.radio.air, entry.mac, key) as tap:
                async with Impostor(bench.site.radio.air, entry.mac, answers):
                    for number in range(row.count(2, 40)):
                        state["challenge"] = 1000 + number
                        before = tap.count(*_SUMS)
                        codes = [(await bench.ask("lock"))["code"] for _ in range(3)]
                        row.check(tap.count(*_SUMS) - before <= 1, "a challenge was answered twice")
                        row.check(codes[1:] == ["protocol"] * 2, "a repeated challenge: %s" % codes)
                    for impossible in (0, 0x80000000, 0xFFFFFFFF):
                        state["challenge"] = impossible
                        before = tap.count(*_SUMS)
                        code = (await bench.ask("unlock"))["code"]
                        row.check(code == "protocol" and tap.count(*_SUMS) == before, "%#x: %s" % (impossible, code))
                    state["challenge"] = 77
                    said = [await _host_logs_in(entry) for _ in range(2)]
                    row.check(said == ["", "ProtocolError"], "the host tool said %s" % said)
            alarms = bench.mqtt.heard(lambda m: m.topic == bench.topic("event") and m.value["event_type"] == "alarm")
            row.check(alarms and len(bench.mqtt.messages) > seen, "no alarm on the event topic")
            row.figure("alarms", len(alarms))

    asyncio.run(story())


@pytest.mark.row(
    "T-IMP-1b", "two radios advertise under a lock's address: an alarm on its event topic, and none without"
)
def test_two_advertisers_under_one_address_are_an_alarm(tmp_path, row: Row) -> None:
    def alarms(bench: Bench) -> int:
        return len(bench.mqtt.heard(lambda m: m.topic == bench.topic("event") and m.value["event_type"] == "alarm"))

    async def story() -> None:
        async with Bench(tmp_path, seed=row.seed) as bench:
            entry = await bench.adopt()
            for _ in range(row.count(2, 20)):  # what a busy lock does alone
                row.check((await bench.ask("unlock"))["ok"] and (await bench.ask("lock"))["ok"], "not done")
            await bench.until_linkless()
            row.check(not alarms(bench), "an alarm about the lock alone")
            async with Impostor(bench.site.radio.air, entry.mac, lambda request: [], flags=advert.UNLOCKED):
                began_s = asyncio.get_running_loop().time()
                await bench.until(lambda: alarms(bench), "the alarm")
                row.check(alarms(bench) == 1, "%d alarms" % alarms(bench))
                row.figure("after s", round(asyncio.get_running_loop().time() - began_s, 1))

    asyncio.run(story())


@pytest.mark.row("T-DWN-1", "answers of every protocol 0-15, sub-version 0-7 but 5.3: discarded, the pin stays")
def test_answers_of_other_protocols_are_discarded(tmp_path, row: Row) -> None:
    async def story() -> None:
        async with Bench(tmp_path, seed=row.seed, gateway_settings=_GATEWAY) as bench:
            entry = await _alone(bench)
            key = bytes.fromhex(entry.aes)
            others = [(protocol, version) for protocol in range(16) for version in range(8)]
            others.remove((5, 3))
            sent = 0

            def headers(request: frame.Frame) -> list[bytes]:
                nonlocal sent
                sent += len(others)
                plain = _lock_like(request.command, 5000 + sent)
                return [_answer(key, plain, 2, *header) for header in others]

            def scenes(request: frame.Frame) -> list[bytes]:
                nonlocal sent
                sent += 255
                plain = _lock_like(request.command, 5000 + sent)
                return [_answer(key, plain, scene) for scene in range(256) if scene != 2]

            with Tap(bench.site.radio.air, entry.mac, key) as tap:
                async with Impostor(bench.site.radio.air, entry.mac, headers) as impostor:
                    for number in range(row.count(2, 40)):
                        impostor.answers = (headers, scenes)[number % 2]
                        state = bench.mqtt.heard(lambda m: m.topic == bench.topic("state"))[-1].value["lock"]
                        result = await bench.ask(("unlock", "lock")[number // 2 % 2])
                        row.check(result["code"] in ("protocol", "link", "link_timeout"), "said %s" % result["code"])
                        after = bench.mqtt.heard(lambda m: m.topic == bench.topic("state"))[-1].value["lock"]
                        row.check(after == state, "the state went from %s to %s" % (state, after))
                        if number < 2:
                            row.check(await _host_logs_in(entry), "the host tool took them")
                row.check(not tap.count(*_SUMS), "%d answers to challenges" % tap.count(*_SUMS))
            row.check(sent, "nothing was sent")
            row.figure("answers", sent)
            # the pin is what it was: the real lock is served as before
            await bench.lock.start()
            await bench.until(lambda: bench.lock.is_running, "the lock is back")
            result = await bench.ask("lock", exp=int(bench.site.now()) + 20)
            row.check(result["code"] == "ok", "the real lock afterwards: %s" % result)

    asyncio.run(story())


@pytest.mark.row("T-REM-1", "switch off, valid unlock over MQTT: remote_unlock_disabled, no unlock frame on the tap")
def test_no_unlock_frame_leaves_while_the_switch_is_off(tmp_path, row: Row) -> None:
    async def story() -> None:
        async with Bench(tmp_path, seed=row.seed) as bench:
            entry = await bench.adopt(remote_unlock=False)
            moved = len(bench.lock.movements)
            with Tap(bench.site.radio.air, entry.mac, bytes.fromhex(entry.aes)) as tap:
                for number in range(row.count(4, 100)):
                    if number % 2:
                        await bench.until_linkless()  # else on the link of the one before
                    result = await bench.ask("unlock")
                    row.check(result["code"] == "remote_unlock_disabled", "said %s" % result)
                row.check((await bench.ask("lock"))["code"] == "ok", "locking needs no switch")
                row.check(tap.count(opcodes.UNLOCK) == 0, "%d unlock frames" % tap.count(opcodes.UNLOCK))
                row.check(tap.count(opcodes.LOCK) == 1, "the tap heard nothing")
            row.check(len(bench.lock.movements) == moved, "the bolt moved")

    asyncio.run(story())
