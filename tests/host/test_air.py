"""The air by itself: what profiles and faults do to packets, links and attempts. Bumble hosts here, no board."""

import asyncio
import contextlib
import itertools
import time
from collections.abc import Callable

import pytest
from bumble import att, hci
from bumble.device import Connection
from bumble.gatt import Characteristic, Service

from host_tools.sim.air.air import PROFILES, Air, AirLink, parse_address
from host_tools.sim.air.air_host import AirHost
from host_tools.sim.air.faults import CENTRAL, PERIPHERAL, Sleep
from host_tools.sim.air.squatter import Squatter

LOCK, PHONE, OTHER = "24:0a:c4:00:00:12", "24:0a:c4:00:00:22", "24:0a:c4:00:00:32"
TIMED_OUT = hci.HCI_ErrorCode.CONNECTION_TIMEOUT_ERROR
NOT_ESTABLISHED = hci.HCI_ErrorCode.CONNECTION_FAILED_TO_BE_ESTABLISHED_ERROR
INTERVAL_MS = 7.5
_NEVER_LATE = 4000  # intervals, half a minute: what only a hang reaches


class Talk:
    """A link from PHONE to LOCK. `at_lock` and `at_phone` are the values that have arrived."""

    def __init__(self, air: Air) -> None:
        self.air = air
        self.at_lock: list[bytes] = []
        self.at_phone: list[bytes] = []
        self.ends: dict[str, int] = {}  # side -> reason

    async def __aenter__(self) -> "Talk":
        self.lock = await AirHost(self.air, LOCK).start()
        self.phone = await AirHost(self.air, PHONE).start()
        write = Characteristic.Properties.WRITE_WITHOUT_RESPONSE | Characteristic.Properties.NOTIFY
        value = att.AttributeValue(write=lambda _link, octets: self.at_lock.append(bytes(octets)))
        self.value = Characteristic("FFF2", write, Characteristic.WRITEABLE, value)
        self.lock.device.add_service(Service("1910", [self.value]))
        self.lock.device.on("connection", lambda link: self._watch(link, PERIPHERAL))
        await self.lock.advertise(20)
        self.link = await self.phone.connect(LOCK, 5, INTERVAL_MS)
        self._watch(self.link, CENTRAL)
        await eventually(lambda: self.lock.device.connections)
        return self

    async def __aexit__(self, *_exc: object) -> None:
        self.lock.stop()
        self.phone.stop()

    def _watch(self, link: Connection, side: str) -> None:
        link.on("disconnection", lambda reason: self.ends.update({side: reason}))
        if side == CENTRAL:
            link.gatt_client.on_att_handle_value_notification = lambda pdu: self.at_phone.append(
                bytes(pdu.attribute_value)
            )

    async def write(self, octets: bytes) -> None:
        command = att.ATT_Write_Command(attribute_handle=self.value.handle, attribute_value=octets)
        await self.link.gatt_client.send_command(command)

    async def notify(self, octets: bytes) -> None:
        (link,) = self.lock.device.connections.values()
        await self.lock.device.gatt_server.notify_subscriber(link, self.value, octets, force=True)

    @property
    def record(self):
        return self.air.history[-1]


async def eventually(check: Callable[[], object], timeout_s: float = 120.0) -> None:
    async with asyncio.timeout(timeout_s):
        while not check():
            await asyncio.sleep(0.005)


# --- profiles


async def attempt(phone: AirHost, mac: str = LOCK, intervals: int = 8) -> int | None:
    """One connection attempt: the reason of its early end, or None when it has not ended within so many intervals."""
    link = await phone.connect(mac, 5, INTERVAL_MS)
    ended: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    link.on("disconnection", lambda reason: ended.done() or ended.set_result(reason))
    try:
        return await asyncio.wait_for(asyncio.shield(ended), intervals * INTERVAL_MS / 1000)
    except TimeoutError:
        with contextlib.suppress(hci.HCI_Error):  # it has ended meanwhile
            await link.disconnect()
        return None


def test_bad_air_fails_half_of_the_attempts_after_six_intervals() -> None:
    async def story() -> None:
        air = Air(3, "bad")
        lock, phone = await AirHost(air, LOCK).start(), await AirHost(air, PHONE).start()
        await lock.advertise(20)
        tries = 60
        ended = [await attempt(phone) for _ in range(tries)]
        failed = [each for each in air.history if each.reason == NOT_ESTABLISHED]
        assert 0.3 * tries < len(failed) < 0.7 * tries
        assert {reason for reason in ended if reason is not None} == {NOT_ESTABLISHED}
        assert all(each.ended_s - each.began_s >= 6 * INTERVAL_MS / 1000 for each in failed)
        assert not air.links

    asyncio.run(story())


@pytest.mark.parametrize("profile, chance", [("ideal", 0.0), ("home", 0.05), ("bad", 0.2)])
def test_profiles_lose_as_many_packets_as_they_say(profile: str, chance: float) -> None:
    async def story() -> None:
        assert PROFILES[profile].packet_loss == PROFILES[profile].advert_loss == chance
        air = Air(1, profile)
        pair = parse_address(LOCK), parse_address(PHONE)
        lost = sum(air.loses("data", air.profile.packet_loss, *pair) for _ in range(2000))
        assert abs(lost - 2000 * chance) <= 60

    asyncio.run(story())


def test_advertisers_keep_to_their_schedule_when_the_process_is_late() -> None:
    async def story() -> None:
        loop = asyncio.get_running_loop()
        air = Air(1, "ideal")
        lock = await AirHost(air, LOCK).start()
        await lock.advertise(200)
        began_s = loop.time()
        for _ in range(25):
            time.sleep(0.12)  # nothing on this loop is on time meanwhile
            await asyncio.sleep(0.01)
        due = (loop.time() - began_s) / 0.205  # the interval, and advDelay on average
        due -= (
            sum(max(0.0, late_s - 0.2) for late_s in air.late_s) / 0.205
        )  # later than to the next one: those are gone
        assert lock.chip.adverts >= due - 1.5

    asyncio.run(story())


# --- faults


def test_record_of_a_link_counts_both_sides_and_outlives_it() -> None:
    async def story() -> None:
        air = Air(1, "home")
        air.faults.lose(0.2)
        async with Talk(air) as talk:
            for number in range(20):
                await talk.write(b"w%d" % number)
                if number % 2:
                    await talk.notify(b"n%d" % number)
            await eventually(lambda: len(talk.at_lock) == 20 and len(talk.at_phone) == 10)
            await talk.link.disconnect()
            record = talk.record
            assert (record.central, record.peripheral) == (PHONE, LOCK)
            assert record.packets == {CENTRAL: 20, PERIPHERAL: 10}
            assert 0 < sum(record.lost.values()) < 40
            assert record.ended_s > record.began_s and record.reason is not None

    asyncio.run(story())


@pytest.mark.parametrize("sender", [CENTRAL, PERIPHERAL])
@pytest.mark.parametrize("is_delivered", [False, True])
def test_cut_at_the_nth_packet_is_noticed_by_supervision_alone(sender: str, is_delivered: bool) -> None:
    async def story() -> None:
        air = Air(1, "ideal")
        air.faults.supervision_s = 0.6
        cut = air.faults.cut(LOCK, sender, 3, is_delivered)
        async with Talk(air) as talk:
            for number in range(5):
                await (talk.write if sender == CENTRAL else talk.notify)(b"%d" % number)
            await eventually(lambda: cut.has_happened)
            assert not talk.ends  # nobody knows yet
            await talk.notify(b"back")
            await talk.write(b"there")
            await eventually(lambda: len(talk.ends) == 2)
            assert set(talk.ends.values()) == {TIMED_OUT}
            arrived = talk.at_lock if sender == CENTRAL else talk.at_phone
            assert arrived == [b"0", b"1", b"2"][: 3 if is_delivered else 2]
            assert talk.record.packets[sender] == len(arrived)
            again = await talk.phone.connect(LOCK, 5, INTERVAL_MS)  # a cut happens once
            talk.link = again
            for _ in range(5):
                await talk.write(b"again")
            await eventually(lambda: talk.at_lock[-5:] == [b"again"] * 5)

    asyncio.run(story())


def test_link_layers_own_packets_go_before_data_at_the_same_event() -> None:
    async def story() -> None:
        for number in range(20):
            link = AirLink(Air(number, "home"), ("a", "b"), [], 0.03, 2.0)
            order: list[str] = []
            for _ in range(number):  # however full the timers' heap is
                link.at_next_event(order.append, "data")
            link.at_next_event(order.append, "control", is_control=True)
            link.at_next_event(order.append, "last")
            await eventually(lambda seen=order, count=number: len(seen) == count + 2)  # type: ignore[misc]
            assert order[0] == "control", order

    asyncio.run(story())


def test_cut_can_reset_a_host_at_that_packet() -> None:
    async def story() -> None:
        air = Air(1, "ideal")
        air.faults.supervision_s = 0.2
        async with Talk(air) as talk:
            air.faults.cut(LOCK, CENTRAL, 2, reset=talk.lock.stop)
            for _ in range(3):
                await talk.write(b"x")
            await eventually(lambda: talk.ends)
            assert talk.at_lock == [b"x"]
            assert talk.ends == {CENTRAL: TIMED_OUT}

    asyncio.run(story())


def test_cut_link_does_not_come_back_when_somebody_moves() -> None:
    async def story() -> None:
        air = Air(1, "home")
        air.faults.supervision_s = 0.3
        async with Talk(air) as talk:
            air.faults.cut(LOCK, CENTRAL, 1)
            await talk.write(b"x")
            await eventually(lambda: not air.links or next(iter(air.links)).is_silent)
            air.place(parse_address(OTHER), 1, 1)
            await eventually(lambda: len(talk.ends) == 2)
            assert not talk.at_lock

    asyncio.run(story())


def test_live_link_ends_out_of_range_and_survives_a_short_absence() -> None:
    async def story() -> None:
        air = Air(1, "home")
        air.faults.supervision_s = 2
        for mac in (LOCK, PHONE):
            air.place(parse_address(mac), 0, 0)
        async with Talk(air) as talk:
            air.place(parse_address(PHONE), 500, 0)
            await talk.write(b"lost?")
            await asyncio.sleep(0.1)
            assert not talk.at_lock
            air.place(parse_address(PHONE), 1, 0)
            await eventually(lambda: talk.at_lock == [b"lost?"])
            air.place(parse_address(PHONE), 500, 0)
            await eventually(lambda: len(talk.ends) == 2)

    asyncio.run(story())


def test_edge_of_the_range_loses_packets() -> None:
    async def story() -> None:
        air = Air(1, "home")
        for mac in (LOCK, PHONE):
            air.place(parse_address(mac), 0, 0)
        async with Talk(air) as talk:
            air.place(parse_address(PHONE), 95, 0)  # -94.4 dBm on average
            for number in range(40):
                await talk.write(b"%d" % number)
            await eventually(lambda: len(talk.at_lock) == 40)
            assert talk.record.lost[CENTRAL] > 8

    asyncio.run(story())


def test_jam_around_a_place_silences_who_is_in_it_and_ends() -> None:
    async def story() -> None:
        air = Air(1, "home")
        air.faults.supervision_s = 5
        air.place(parse_address(LOCK), 10, 0)
        air.place(parse_address(PHONE), 0, 0)
        async with Talk(air) as talk:
            elsewhere = air.faults.jam(50, 0, 5)
            await talk.write(b"1")
            await eventually(lambda: talk.at_lock == [b"1"])
            air.faults.lift(elsewhere)
            jam = air.faults.jam(10, 0, 3)
            await talk.write(b"2")
            await talk.notify(b"3")
            await asyncio.sleep(0.1)
            assert talk.at_lock == [b"1"] and not talk.at_phone
            air.faults.lift(jam)
            await eventually(lambda: talk.at_lock == [b"1", b"2"] and talk.at_phone == [b"3"])
            air.faults.jam(10, 0, 3, for_s=0.3)
            await talk.write(b"4")
            await eventually(lambda: talk.at_lock[-1] == b"4")
            assert not air.faults.describe()
            assert not talk.ends

    asyncio.run(story())


def test_jammed_lock_is_heard_but_cannot_be_connected() -> None:
    async def story() -> None:
        air = Air(1, "home")
        lock, phone = await AirHost(air, LOCK).start(), await AirHost(air, PHONE).start()
        air.place(parse_address(LOCK), 10, 0)
        air.place(parse_address(PHONE), 0, 0)
        jam = air.faults.jam(10, 0, 3)
        await lock.advertise(20)
        assert await attempt(phone, intervals=_NEVER_LATE) == NOT_ESTABLISHED
        air.faults.lift(jam)
        assert await attempt(phone) is None

    asyncio.run(story())


def test_damage_above_the_link_layer_changes_one_bit_of_values_only() -> None:
    async def story() -> None:
        air = Air(1, "ideal")
        async with Talk(air) as talk:
            fault = air.faults.corrupt(1.0, LOCK, CENTRAL)
            await talk.write(b"\0" * 20)
            await talk.notify(b"\0" * 20)
            await eventually(lambda: talk.at_lock and talk.at_phone)
            assert sum(octet.bit_count() for octet in talk.at_lock[0]) == 1 and len(talk.at_lock[0]) == 20
            assert talk.at_phone == [b"\0" * 20]
            assert await talk.link.gatt_client.request_mtu(100)  # other packets pass unharmed
            assert fault.changed == 1
            air.faults.lift(fault)
            await talk.write(b"\0")
            await eventually(lambda: talk.at_lock[-1] == b"\0")

    asyncio.run(story())


def test_delayed_packets_come_late_and_in_order() -> None:
    async def story() -> None:
        air = Air(1, "ideal")
        async with Talk(air) as talk:
            loop = asyncio.get_running_loop()
            fault = air.faults.delay(0.3, LOCK, CENTRAL)
            began_s = loop.time()
            for number in range(10):
                await talk.write(b"%d" % number)
            await asyncio.sleep(0.05)
            air.faults.lift(fault)
            await talk.write(b"last")
            await eventually(lambda: len(talk.at_lock) == 11)
            assert loop.time() - began_s > 0.29
            assert talk.at_lock == [b"%d" % number for number in range(10)] + [b"last"]

    asyncio.run(story())


def test_more_loss_means_more_repeats_and_the_same_packets() -> None:
    async def story() -> None:
        air = Air(1, "ideal")
        async with Talk(air) as talk:
            air.faults.lose(0.5, LOCK, CENTRAL)
            for number in range(40):
                await talk.write(b"%d" % number)
            await eventually(lambda: len(talk.at_lock) == 40)
            assert talk.record.packets[CENTRAL] == 40 and 10 < talk.record.lost[CENTRAL] < 90

    asyncio.run(story())


def test_sleeping_radio_speaks_once_between_gaps_or_for_a_while() -> None:
    draw = Air(1).stream("sleep")
    for awake_s, low, high in ((0.0, 8, 12), (1.0, 35, 60)):
        sleeper = Sleep((9.0, 11.0), awake_s)
        spoken = [at for at in range(0, 1000, 2) if sleeper.speaks(at / 10, draw)]  # due every 0.2 s for 100 s
        assert low <= len(spoken) <= high
        assert spoken[0] >= 90
        gaps = [two - one for one, two in itertools.pairwise(spoken)]
        assert max(gaps) <= 114 and sum(gap >= 90 for gap in gaps) >= 6


def test_two_initiators_win_in_turn() -> None:
    async def story() -> None:
        air = Air(1, "ideal")
        lock = await AirHost(air, LOCK).start()
        rivals = [await AirHost(air, mac).start() for mac in (PHONE, OTHER)]
        await lock.advertise(20)

        async def insist(rival: AirHost) -> None:
            while True:
                await (await rival.connect(LOCK, 5, INTERVAL_MS)).disconnect()

        tasks = [asyncio.create_task(insist(each)) for each in rivals]
        await eventually(lambda: len(air.history) >= 40)
        for each in tasks:
            each.cancel()
        assert 10 <= sum(each.central == PHONE for each in air.history) <= 30

    asyncio.run(story())


def test_cancelled_attempt_leaves_nothing_behind() -> None:
    async def story() -> None:
        air = Air(1, "ideal")
        lock, phone = await AirHost(air, LOCK).start(), await AirHost(air, PHONE).start()
        for _ in range(3):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.05):
                    await phone.connect(LOCK, 0.05, INTERVAL_MS)  # the outer time-out cancels the inner one
            assert phone.chip.pending_le_connection is None
        await lock.advertise(20)
        await asyncio.sleep(0.1)
        assert not air.links
        await phone.connect(LOCK, 5, INTERVAL_MS)
        assert len(air.links) == 1

    asyncio.run(story())


@pytest.mark.parametrize("per_min, least", [(None, 3), (600, 10)])
def test_squatter_takes_the_only_connection_again_and_again(per_min: float | None, least: int) -> None:
    async def story() -> None:
        air = Air(1, "ideal")
        lock = await AirHost(air, LOCK).start()
        await lock.advertise(20)
        squatter = await Squatter(air, LOCK, per_min=per_min).start()
        async with asyncio.timeout(120):
            while len(squatter.stays_s) < least:
                await asyncio.sleep(0.05)
                if per_min is None:  # thrown out by the lock
                    for link in tuple(lock.device.connections.values()):
                        await link.disconnect()
        assert all(each.central == squatter.mac for each in air.history)
        await squatter.stop()

    asyncio.run(story())


def test_arming_nonsense_is_refused() -> None:
    async def story() -> None:
        faults = Air(1).faults
        for wrong in (
            lambda: faults.cut(LOCK, "lock", 1),
            lambda: faults.cut(LOCK, CENTRAL, 0),
            lambda: faults.sleep(LOCK, 5, 1),
        ):
            with pytest.raises(ValueError):
                wrong()
        assert not faults.describe()

    asyncio.run(story())
