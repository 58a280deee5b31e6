"""A client that nobody here wrote operates our lock: `ttlock-ble` from the package index, unmodified."""

import asyncio
import contextlib
import json

from ttlock_ble import TTLockClient, TTLockError, VirtualKey

from firmware.lib import crypto, frame
from firmware.lib.frame import Reassembler
from host_tools.near.ekeys import LocalEkeys
from host_tools.near.local_link import local_link
from host_tools.owner import bundles, ekeys
from host_tools.owner.keybook import Entry
from host_tools.sim.ble import bleak_air
from tests.system.bench import Bench


def tap(monkeypatch, entry: Entry) -> list[bytes]:
    """Every answer that reaches this computer from now on, decrypted: [echo, status, ...]."""
    heard: list[bytes] = []
    reassembler = Reassembler()
    take = bleak_air.AirClient._on_value

    def listen(self, handle, value):
        for raw in reassembler.feed(bytes(value)):
            heard.append(crypto.decrypt(bytes.fromhex(entry.aes), frame.decode(raw).payload))
        return take(self, handle, value)

    monkeypatch.setattr(bleak_air.AirClient, "_on_value", listen)
    return heard


def test_ttlock_ble_operates_our_lock_with_a_bundle_from_our_key_book(tmp_path):
    async def story():
        async with Bench(tmp_path, gateways=0) as bench:
            entry = await bench.pair()
            key = VirtualKey.from_dict(bundles.virtual_key(entry))
            client = TTLockClient(key, keep_alive_after_command=0)
            await client.connect()
            try:
                before = len(bench.lock.movements)
                await client.unlock()
                await bench.until(lambda: bench.lock.bolt == "unlocked", "unlocked")
                assert (await client.query_state())[0] == 1
                await client.lock()
                await bench.until(lambda: bench.lock.bolt == "locked", "locked")
                assert (await client.query_state())[0] == 0
                assert bench.moves(since=before) == [("locked", "unlocked"), ("unlocked", "locked")]
                assert await client.get_auto_lock_time() == 5
                # this release walks a log backwards and so takes one record a call; within 2 s it gets the same page
                # again (lock-ble-link.md 8.6)
                kinds = {int(entry.record_type) for entry in await client.get_operation_log()}
                await asyncio.sleep(2.1)
                kinds |= {int(entry.record_type) for entry in await client.get_operation_log()}
                assert kinds == {1, 26}
            finally:
                await client.disconnect()

    asyncio.run(story())


def test_what_ttlock_ble_does_without_logging_in_is_refused_and_changes_nothing(tmp_path, monkeypatch):
    async def story():
        async with Bench(tmp_path, gateways=0) as bench:
            entry = await bench.pair()
            answers = tap(monkeypatch, entry)
            client = TTLockClient(VirtualKey.from_dict(bundles.virtual_key(entry)), keep_alive_after_command=0)
            await client.connect()
            try:
                for attempt, command in (
                    (lambda: client.set_auto_lock_time(60), 0x36),
                    (lambda: client.add_passcode("135790"), 0x03),
                    (lambda: client.clear_passcodes(), 0x03),
                ):
                    answers.clear()
                    with contextlib.suppress(TTLockError):  # this release ignores some refusals
                        await attempt()
                    assert answers == [bytes((command, 0, 0x02))]
                assert await client.get_auto_lock_time() == 5
            finally:
                await client.disconnect()
            still = len(bench.lock.movements)
            assert (await bench.lock.panel({"do": "state"}))["autolock_s"] == 5
            assert not await bench.opens({"do": "keys", "digits": "135790#"})
            assert len(bench.lock.movements) == still

    asyncio.run(story())


def test_ttlock_ble_opens_with_an_ekey_of_ours_until_it_is_deleted(tmp_path, monkeypatch):
    async def story():
        async with Bench(tmp_path, gateways=0) as bench:
            entry = await bench.pair()
            path = tmp_path / "guest.json"
            ekey = ekeys.Ekey(0, "Guest", ekeys.PERMANENT)
            async with local_link(entry) as link:
                await ekeys.send(bench.book, entry, LocalEkeys(link, entry), ekey, path)
            await bench.until_linkless()
            answers = tap(monkeypatch, entry)

            async def unlock():
                client = TTLockClient(VirtualKey.from_dict(json.loads(path.read_text())), keep_alive_after_command=0)
                await client.connect()
                try:
                    await client.unlock()
                finally:
                    await client.disconnect()

            await unlock()
            await bench.until(lambda: bench.lock.bolt == "unlocked", "unlocked")
            await bench.until(lambda: bench.lock.bolt == "locked", "auto-lock")
            await bench.until_linkless()
            async with local_link(entry) as link:
                await ekeys.delete(bench.book, bench.book.find(entry.mac), LocalEkeys(link, entry), "Guest")
            await bench.until_linkless()
            moved = len(bench.lock.movements)
            answers.clear()
            with contextlib.suppress(TTLockError):
                await unlock()
            assert bytes((0x47, 0, 0x08)) in answers, answers  # it shows uid 0, and nobody's secret fits
            assert len(bench.lock.movements) == moved

    asyncio.run(story())
