"""The profile `real` on the air: what a scanner hears of such a lock, and what a client that is not ours gets from it.

What the lock image does in each case is in tests/unit/test_lock_manners.py, the radio's part in
tests/host/test_real_air.py.
"""

from bleak import BleakScanner
from ttlock_ble import TTLockClient, VirtualKey

from firmware.lib import advert, opcodes, records
from firmware.lib.errors import FirmwareError
from firmware.lib.messages import session_client, settings_client
from host_tools.owner import bundles
from host_tools.owner.keybook import Entry
from tests.system.bench import HANG_S, Bench

# Advertising four times as often as such a lock does, for the tests' time
SITE = {"profile": "real", "gateways": 0, "lock_settings": {"adv_awake_ms": 200, "adv_asleep_ms": 200}}
DORMANT = 0x10
SERVICE = "00001910-0000-1000-8000-00805f9b34fb"


class Heard:
    """Everything that a scanner hears of one lock."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        self.flags: list[int] = []
        self.batteries: list[int] = []
        self.blocks: set[bytes] = set()
        self.services: set[str] = set()
        self.names: set[str] = set()

    async def __aenter__(self) -> "Heard":
        self._bench._use_air()
        self._scanner = BleakScanner(self._take)
        await self._scanner.start()
        return self

    async def __aexit__(self, *_exc: object) -> None:
        await self._scanner.stop()

    def _take(self, device, data) -> None:
        if device.address.lower() != self._bench.lock.mac:
            return
        for company, rest in data.manufacturer_data.items():
            block = company.to_bytes(2, "little") + rest
            self.blocks.add(block)
            self.flags.append(block[3])
            self.batteries.append(block[4])
        self.services |= set(data.service_uuids)
        self.names |= {data.local_name} - {None}

    async def next_flags(self) -> int:
        """The flags of the next advertisement but one; the very next may have been on its way."""
        seen = len(self.flags)
        await self._bench.until(lambda: len(self.flags) > seen + 1, "heard")
        return self.flags[-1]


async def unlock_or_lock(client: TTLockClient, act: str) -> None:
    """A movement by `ttlock-ble`, which connects first; half of its attempts fail."""
    for _ in range(30):
        try:
            await client.connect()
            break
        except Exception:
            await client.disconnect()
    await getattr(client, act)()
    await client.disconnect()


def client_of(entry: Entry) -> TTLockClient:
    return TTLockClient(VirtualKey.from_dict(bundles.virtual_key(entry)), keep_alive_after_command=0)


def test_a_scanner_sees_17_bytes_no_service_and_a_lock_that_falls_dormant_unlocked(shared):
    async def story(bench: Bench) -> None:
        entry = shared.entry
        async with bench.beside(entry) as link:
            await link.exchange(opcodes.AUTO_LOCK, settings_client.auto_lock_set(0))
        await unlock_or_lock(client_of(entry), "unlock")
        assert bench.lock.bolt == "unlocked"
        async with Heard(bench) as heard:
            assert await heard.next_flags() & (DORMANT | advert.UNLOCKED) == advert.UNLOCKED
            await bench.site.leap(61)
            await bench.until(lambda: heard.batteries[-1] == 100, "full a minute after the link")
            await bench.site.leap(70)
            for _ in range(3):
                assert await heard.next_flags() & (DORMANT | advert.UNLOCKED) == DORMANT
            assert bench.lock.bolt == "unlocked"
            assert {len(block) for block in heard.blocks} == {17}
            address = bytes.fromhex(bench.lock.mac.replace(":", ""))
            assert {block[-6:] for block in heard.blocks} == {bytes(reversed(address))}
            assert SERVICE not in heard.services
            assert heard.names == {"K5_" + address[:2:-1].hex()}
            await bench.lock.panel({"do": "touch"})
            await bench.until(lambda: not heard.flags[-1] & DORMANT, "awake when it is touched")
            assert heard.flags[-1] & advert.UNLOCKED
        await unlock_or_lock(client_of(entry), "lock")

    shared.run(story)


def test_a_link_on_which_nothing_is_asked_is_dropped_after_five_seconds(shared):
    async def story(bench: Bench) -> None:
        async with bench.beside(shared.entry) as link:
            await link.exchange(opcodes.STATUS, session_client.status_request())
            await bench.until(lambda: not link.is_connected(), "dropped", HANG_S)
        last = bench.site.radio.links(bench.lock.mac)[-1]
        assert last.ended_s - last.began_s > 5 and last.reason != 0x3E

    shared.run(story)


def test_ffff_alone_brings_the_unread_flag_down_and_one_request_in_a_hundred_is_refused(shared):
    async def story(bench: Bench) -> None:
        async def ask(link, cursor: int) -> int | str | None:
            try:
                after, raws = session_client.log_page(
                    await link.exchange(opcodes.LOG, session_client.log_request(cursor))
                )
            except FirmwareError:
                return "refused"
            return after - 1 if raws else None

        await unlock_or_lock(client_of(shared.entry), "unlock")
        async with Heard(bench) as heard:
            assert await heard.next_flags() & advert.RECORDS
            async with bench.beside(shared.entry) as link:
                held: list[int | str] = []
                while (number := await ask(link, len(held))) is not None:
                    held.append(number)
            assert held == list(range(len(held))) and held
            assert await heard.next_flags() & advert.RECORDS
            async with bench.beside(shared.entry) as link:
                answers = [await ask(link, 0) for _ in range(100)]
                assert answers.count("refused") == 1 and answers.count(0) == 99
                while await ask(link, records.NEXT_UNREAD) is not None:
                    pass
            assert not await heard.next_flags() & advert.RECORDS

    shared.run(story)
