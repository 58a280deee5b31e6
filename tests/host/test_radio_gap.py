"""GAP of a simulated board as NimBLE has it: advertising, scanning, links, addresses, refusals, switching off."""

import asyncio
from pathlib import Path

import pytest
from bumble.device import ConnectionParametersPreferences, Device
from bumble.hci import Address, Phy
from bumble.transport import open_transport

from host_tools.sim.ble.errno_words import (
    EALREADY,
    EBUSY,
    EINVAL,
    EIO,
    ENODEV,
    ENOMEM,
    ENOTCONN,
    HCI_INVALID_PARAMETERS,
)
from tests.host.radio_bench import (
    CENTRAL_CONNECT,
    CENTRAL_DISCONNECT,
    CONNECTION_UPDATE,
    HANG_S,
    PERIPHERAL_CONNECT,
    PERIPHERAL_DISCONNECT,
    SCAN_DONE,
    SCAN_RESULT,
    address,
    boards,
    eventually,
    linked,
    on_every_port,
)

ADV_IND, ADV_SCAN_IND, SCAN_RSP = 0, 2, 4


@on_every_port
def test_module_has_what_an_esp32_has_and_no_more(port: str, tmp_path: Path) -> None:
    async def story() -> None:
        async with boards(port, tmp_path, count=1, is_on=False) as (_, board):
            missing = "[each for each in %r if not hasattr(%s, each)]"
            methods = "active config irq gap_advertise gap_scan gap_connect gap_disconnect gap_pair gap_passkey".split()
            methods += [f"gatts_{each}" for each in "register_services read write notify indicate set_buffer".split()]
            gattc = "discover_services discover_characteristics discover_descriptors read write exchange_mtu"
            methods += [f"gattc_{each}" for each in gattc.split()]
            assert await board.do(missing % (methods, "ble")) == []
            absent = ["hci_cmd", "l2cap_listen", "l2cap_connect", "l2cap_send", "gap_unpair"]
            assert await board.do(missing % (absent, "ble")) == absent
            flags = "FLAG_READ FLAG_WRITE FLAG_NOTIFY FLAG_INDICATE FLAG_WRITE_NO_RESPONSE".split()
            names = await board.do("[each for each in dir(bluetooth) if each.startswith('FLAG')]")
            assert sorted(names) == sorted(flags)
            assert await board.do("bluetooth.BLE() is ble")

    asyncio.run(story())


@on_every_port
def test_uuids(port: str, tmp_path: Path) -> None:
    async def story() -> None:
        long = "6E400001-B5A3-F393-E0A9-E50E24DCCA9E"
        async with boards(port, tmp_path, count=1, is_on=False) as (_, board):
            assert await board.do(f"repr(UUID('{long}'))") == f"UUID('{long.lower()}')"
            assert await board.do(f"bytes(UUID('{long}'))") == bytes.fromhex(long.replace("-", ""))[::-1]
            assert await board.do("repr(UUID(0x2902)), bytes(UUID(0x2902))") == ("UUID(0x2902)", b"\x02\x29")
            assert await board.do("UUID(0x2902) == UUID(b'\\x02\\x29'), UUID(1) == 1, UUID(1) < UUID(2)") == (
                True,
                False,
                True,
            )
            assert await board.do(f"len({{UUID('{long}'), UUID('{long.lower()}')}})") == 1
            assert await board.fails("UUID(65536)") == "ValueError invalid UUID"
            assert await board.fails("UUID('6E400001')") == "ValueError UUID too short"
            assert await board.fails(f"UUID('{long}0')") == "ValueError UUID too long"
            assert await board.fails(f"UUID('x{long[1:]}')") == "ValueError invalid char in UUID"

    asyncio.run(story())


@on_every_port
def test_radio_that_is_off_refuses_as_nimble_does(port: str, tmp_path: Path) -> None:
    async def story() -> None:
        async with boards(port, tmp_path, count=1, is_on=False) as (_, board):
            assert await board.do("ble.active()") is False
            for line in (
                "ble.gap_advertise(100_000)",
                "ble.gap_scan(0)",
                "ble.gap_scan(None)",
                "ble.gap_connect(0, bytes(6))",
                "ble.gap_connect(None)",
                "ble.gap_disconnect(1)",
                "ble.gatts_register_services(())",
                "ble.gatts_notify(1, 1)",
                "ble.gattc_read(1, 1)",
                "ble.gattc_write(1, 1, b'')",
                "ble.gattc_discover_services(1)",
                "ble.config('mac')",
                "ble.config('mtu')",
                "ble.config(mtu=100)",
                "ble.config(addr_mode=1)",
            ):
                assert await board.refused(line) == ENODEV, line
            assert await board.refused("ble.gap_pair(1)") == ENOTCONN
            assert await board.refused("ble.gattc_exchange_mtu(1)") == ENOTCONN
            assert await board.do("ble.gap_advertise(None)") is None
            await board.do("ble.config(gap_name='early', bond=True, mitm=True, io=3, le_secure=True)")
            assert await board.do("ble.config('gap_name')") == b"early"
            assert await board.do("ble.active(True)") is True
            assert await board.do("ble.config('gap_name')") == b"early"

    asyncio.run(story())


@on_every_port
def test_arguments_are_those_of_the_c_module(port: str, tmp_path: Path) -> None:
    async def story() -> None:
        async with boards(port, tmp_path, count=1) as (_, board):
            assert await board.fails("ble.config('rxbuf')") == "ValueError unknown config param"
            assert await board.fails("ble.config(rxbuf=1024)") == "ValueError unknown config param"
            assert await board.fails("ble.config('bond')") == "ValueError unknown config param"
            assert await board.fails("ble.config()") == "TypeError must query one param"
            assert await board.fails("ble.config('mtu', mtu=3)") == "TypeError can't specify pos and kw args"
            assert await board.fails("ble.irq(3)") == "ValueError invalid handler"
            assert await board.fails("ble.gap_connect(0)") == "TypeError invalid addr"
            assert await board.fails("ble.gap_connect(0, b'short')") == "ValueError invalid addr"
            assert (await board.fails("ble.gap_scan(duration_ms=10)")).startswith("TypeError")
            assert (await board.fails("ble.gatts_write(1, b'', send_update=True)")).startswith("TypeError")
            assert (await board.fails("ble.gap_connect(0, bytes(6), scan_duration_ms=10)")).startswith("TypeError")
            assert await board.refused("ble.config(gap_name='n' * 32)") == EINVAL
            assert [await board.refused(f"ble.config(mtu={mtu})") for mtu in (22, 23, 527, 528)] == [
                EINVAL,
                0,
                0,
                EINVAL,
            ]
            assert await board.do("ble.config('mtu')") == 527
            await board.do("ble.active(True)")
            assert await board.do("ble.config('mtu')") == 256

    asyncio.run(story())


@on_every_port
def test_advertising_data_is_kept_and_changes_while_advertising(port: str, tmp_path: Path) -> None:
    async def story() -> None:
        async with boards(port, tmp_path) as (_, one, other):
            key = 0, address()
            await one.do("ble.gap_advertise(20_000, b'first', resp_data=b'reply')")
            assert (await other.scanned(0.2))[key] == {(ADV_IND, b"first")}
            assert (await other.scanned(0.2, active=True))[key] == {(ADV_IND, b"first"), (SCAN_RSP, b"reply")}
            await one.do("ble.gap_advertise(20_000, b'second')")
            assert (await other.scanned(0.2, active=True))[key] == {(ADV_IND, b"second"), (SCAN_RSP, b"reply")}
            await one.do("ble.gap_advertise(20_000, connectable=False, resp_data=b'')")
            assert (await other.scanned(0.2, active=True))[key] == {(ADV_SCAN_IND, b"second"), (SCAN_RSP, b"")}
            await one.do("ble.gap_advertise(None)")
            assert await other.scanned(0.2) == {}
            await one.do("ble.gap_advertise(20_000)")
            assert (await other.scanned(0.2))[key] == {(ADV_IND, b"second")}
            assert await one.refused("ble.gap_advertise(20_000, bytes(32))") == EINVAL
            assert await other.scanned(0.2) == {}  # it was stopped first, as MicroPython does
            assert await one.refused("ble.gap_advertise(19_000)") == HCI_INVALID_PARAMETERS
            await one.do("ble.active(True)")
            await one.do("ble.gap_advertise(20_000)")
            assert (await other.scanned(0.2))[key] == {(ADV_IND, b"")}  # the chip was reset

    asyncio.run(story())


@on_every_port
def test_scans_end_by_duration_by_request_and_by_connecting(port: str, tmp_path: Path) -> None:
    async def story() -> None:
        async with boards(port, tmp_path) as (_, one, other):
            await one.do("ble.gap_advertise(20_000, b'x')")
            await other.do("ble.gap_scan(0, 30000, 30000)")
            assert await other.event(SCAN_RESULT) == [0, address(), ADV_IND, -50, b"x"]
            assert await other.refused("ble.gap_scan(100)") == EALREADY
            await other.do("ble.gap_scan(None)")
            await other.event(SCAN_DONE)
            await other.do("ble.gap_scan(None)")
            assert other.count(SCAN_DONE) == 0
            assert await other.refused("ble.gap_scan(100, 30000, 40000)") == HCI_INVALID_PARAMETERS
            # a short window hears a part of a fast advertiser
            other.events.clear()
            await other.do("ble.gap_scan(1000, 100_000, 10_000)")
            await other.event(SCAN_DONE)
            assert 1 <= other.count(SCAN_RESULT) <= 20
            await other.do("ble.gap_scan(0, 30000, 30000)")
            await other.do(f"ble.gap_connect(0, {address()!r})")
            await other.event(SCAN_DONE)
            await other.event(PERIPHERAL_CONNECT)

    asyncio.run(story())


@on_every_port
def test_connecting_gives_up_is_cancelled_and_refuses_wrong_parameters(port: str, tmp_path: Path) -> None:
    async def story() -> None:
        async with boards(port, tmp_path) as (_, one, other):
            nobody = bytes.fromhex("aabbccddeeff")
            await other.do(f"ble.gap_connect(0, {nobody!r}, 150)")
            assert await other.refused(f"ble.gap_connect(0, {nobody!r})") == EALREADY
            assert await other.refused("ble.gap_scan(100)") == EBUSY
            assert await other.event(PERIPHERAL_DISCONNECT) == [0xFFFF, 0xFF, bytes(6)]
            assert await other.refused("ble.gap_connect(None)") == EALREADY
            await other.do(f"ble.gap_connect(0, {nobody!r}, 0)")
            await other.do("ble.gap_connect(None)")
            assert await other.event(PERIPHERAL_DISCONNECT) == [0xFFFF, 0xFF, bytes(6)]
            for low, high in (("60_000", None), (None, "20_000"), ("5_000", "10_000"), ("30_000", "5_000_000")):
                line = f"ble.gap_connect(0, {nobody!r}, 100, {low}, {high})"
                assert await other.refused(line) == HCI_INVALID_PARAMETERS, line
            assert await other.refused(f"ble.gap_connect(4, {nobody!r})") == EINVAL
            await linked(one, other)
            assert await other.refused(f"ble.gap_connect(0, {address()!r})") == EIO  # BLE_HS_EDONE: it is connected

    asyncio.run(story())


@on_every_port
def test_either_end_disconnects_once(port: str, tmp_path: Path) -> None:
    async def story() -> None:
        async with boards(port, tmp_path) as (radio, one, other):
            mine, theirs = await linked(one, other)
            assert await other.do(f"ble.gap_disconnect({theirs})") is True
            assert await other.refused(f"ble.gap_disconnect({theirs})") in (EALREADY, 0)  # 0: it was over already
            assert await other.event(PERIPHERAL_DISCONNECT) == [theirs, 0, address()]
            assert await one.event(CENTRAL_DISCONNECT) == [mine, 0, address(1)]
            assert await other.do(f"ble.gap_disconnect({theirs})") is False
            mine, theirs = await linked(one, other)
            assert await one.do(f"ble.gap_disconnect({mine})") is True
            assert await one.event(CENTRAL_DISCONNECT) == [mine, 0, address(1)]
            assert await other.event(PERIPHERAL_DISCONNECT) == [theirs, 0, address()]
            await eventually(lambda: radio.links_up() == 0)

    asyncio.run(story())


@on_every_port
def test_three_links_and_no_more(port: str, tmp_path: Path) -> None:
    async def story() -> None:
        async with boards(port, tmp_path, count=5) as (_, hub, *others):
            for number in (1, 2, 3):
                await linked(others[number - 1], hub, number)
            await others[3].do("ble.gap_advertise(20_000)")
            assert await hub.refused(f"ble.gap_connect(0, {address(4)!r})") == ENOMEM
            assert await hub.refused("ble.gap_advertise(20_000)") == ENOMEM
            await hub.do("ble.gap_advertise(20_000, connectable=False)")
            await others[0].do("ble.gap_disconnect(1)")
            await hub.event(PERIPHERAL_DISCONNECT)
            await hub.do(f"ble.gap_connect(0, {address(4)!r})")
            await hub.event(PERIPHERAL_CONNECT)
            assert (await others[3].event(CENTRAL_CONNECT))[1:] == [0, address(0)]

    asyncio.run(story())


@on_every_port
def test_switching_off_ends_everything_before_it_returns(port: str, tmp_path: Path) -> None:
    async def story() -> None:
        async with boards(port, tmp_path, count=3) as (radio, one, other, third):
            mine, theirs = await linked(one, other)
            await linked(third, one, 2)
            await one.do("ble.gap_scan(0, 30000, 30000)")
            one.events.clear()
            await one.do("ble.active(False)")
            assert one.count(CENTRAL_DISCONNECT) == one.count(PERIPHERAL_DISCONNECT) == one.count(SCAN_DONE) == 1
            assert await other.event(PERIPHERAL_DISCONNECT) == [theirs, 0, address()]
            assert radio.links_up() == 0
            assert await one.refused(f"ble.gap_disconnect({mine})") == ENODEV
            await one.do("ble.active(True)")
            await linked(one, other)
            await one.do("ble.active(True)")  # starts anew
            await other.event(PERIPHERAL_DISCONNECT)

    asyncio.run(story())


@on_every_port
def test_address_modes(port: str, tmp_path: Path) -> None:
    async def story() -> None:
        async with boards(port, tmp_path) as (_, one, other):
            assert await one.do("ble.config('mac')") == (0, address())
            seen = {}
            for mode, top in ((1, 0b11), (3, 0b00)):
                await one.do(f"ble.config(addr_mode={mode})")
                kind, mac = await one.do("ble.config('mac')")
                assert kind == 1
                assert mac[0] >> 6 == top
                await one.do("ble.gap_advertise(20_000, b'x')")
                assert set(await other.scanned(0.2)) == {(1, mac)}
                seen[mode] = mac
            await other.do(f"ble.gap_connect(1, {seen[3]!r})")
            assert (await other.event(PERIPHERAL_CONNECT))[1:] == [1, seen[3]]
            await other.do("ble.active(False)")
            await one.event(CENTRAL_DISCONNECT)
            await one.do("ble.config(addr_mode=2)")
            assert await one.refused("ble.config('mac')") == EINVAL
            await one.do("ble.gap_advertise(20_000, b'x')")
            await other.do("ble.active(True)")
            ((kind, private),) = await other.scanned(0.2)
            assert kind == 1
            assert private[0] >> 6 == 0b01
            await one.do("ble.config(addr_mode=0)")
            await one.do("ble.gap_advertise(20_000, b'x')")
            assert set(await other.scanned(0.2)) == {(0, address())}

    asyncio.run(story())


@on_every_port
def test_central_updates_the_connection(port: str, tmp_path: Path) -> None:
    async def story() -> None:
        async with boards(port, tmp_path, count=1) as (radio, one):
            await one.do("ble.gap_advertise(20_000, b'x')")
            async with await open_transport(f"tcp-client:127.0.0.1:{radio.hci_port}") as transport:
                device = Device.with_hci("host", Address("F0:F1:F2:F3:F4:F5"), transport.source, transport.sink)
                await device.power_on()
                wishes = ConnectionParametersPreferences(
                    connection_interval_min=30, connection_interval_max=30, supervision_timeout=3000
                )
                peer = Address(address()[::-1], Address.PUBLIC_DEVICE_ADDRESS)
                link = await device.connect_le(peer, {Phy.LE_1M: wishes}, timeout=HANG_S)
                handle = (await one.event(CENTRAL_CONNECT))[0]
                await link.update_parameters(15, 15, 2, 4000)
                assert await one.event(CONNECTION_UPDATE) == [handle, 12, 2, 400, 0]

    asyncio.run(story())


@on_every_port
def test_views_and_uuids_die_with_the_event_and_a_handler_that_raises_is_disabled(port: str, tmp_path: Path) -> None:
    async def story() -> None:
        async with boards(port, tmp_path) as (_, one, other):
            await one.do("ble.gap_advertise(20_000, b'payload')")
            await other.do("keep = True")
            await other.scanned(0.1)
            await other.do("keep = False")
            stale = await other.do("[(bytes(each[1]), bytes(each[4])) for each in kept if len(each) == 5]")
            assert stale
            assert all(set(mac) == set(payload) == {0xA5} for mac, payload in stale)
            await other.do("answers[5] = lambda *_: 1 / 0")
            await other.do("ble.gap_scan(100, 30000, 30000)")
            await eventually(lambda: "ZeroDivisionError: divide by zero" in other.lines)
            await asyncio.sleep(0.3)
            assert other.lines.count("Unhandled exception in IRQ callback handler") == 1
            assert other.count(SCAN_DONE) == 0
            await other.do("answers.clear()")
            await other.do("ble.irq(irq)")
            assert await other.scanned(0.1)

    asyncio.run(story())


@pytest.mark.parametrize("seed", [1, 2])
def test_random_addresses_come_from_the_seed(seed: int) -> None:
    from host_tools.sim.air.air import Air  # noqa: PLC0415
    from host_tools.sim.ble.radio import parse_address  # noqa: PLC0415

    one = parse_address("24:0a:c4:00:00:12")
    draws = [Air(seed).stream("address", one).randbytes(6) for _ in range(2)]
    assert draws[0] == draws[1] != Air(seed + 1).stream("address", one).randbytes(6)
