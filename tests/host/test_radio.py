"""The virtual radio: boards on real MicroPython, bleak programs, and the Bumble internals it stands on."""

import asyncio
import inspect
from importlib.metadata import version

import pytest
from bleak import BleakClient, BleakScanner
from bleak.exc import BleakError
from bumble import controller, gatt_client, gatt_server, hci, host, link, smp

from host_tools.sim.air.air import Air
from host_tools.sim.ble import bleak_air, codec
from host_tools.sim.ble.radio import parse_address
from tests.host.radio_bench import GATEWAY, LOCK, LOCK_ADDRESS, Board, air, eventually

VALUE = "00000000-1111-2222-3333-444444444444"


@pytest.mark.parametrize("profile, lost_pct", [("ideal", (0, 0)), ("home", (1, 15))])
def test_two_boards_find_connect_discover_and_exchange(profile: str, lost_pct: tuple[int, int]) -> None:
    async def story() -> None:
        async with air(profile, seed=7) as radio, Board(radio, LOCK, "radio_peripheral.py", "echo") as lock:
            assert await lock.line("up") == [LOCK_ADDRESS.replace(":", "")]
            async with Board(radio, GATEWAY, "radio_central.py", "echo", "300", "talk") as gateway:
                assert await gateway.line("found") == [LOCK_ADDRESS, "True", "b'maker'"]
                assert await gateway.line("discovered") == ["model", "180"]
                assert await gateway.line("indicated") == ["yes"]
                await gateway.line("timeout")
                in_order, rate = await gateway.line("flood")
                assert in_order == "True"
                print("%s packets per second" % rate)
                (link,) = radio.links()
                lost = (
                    100 * sum(link.lost.values()) / sum(link.packets.values())
                )  # each is sent again, once more at most
                assert sum(link.packets.values()) > 300 and lost_pct[0] <= lost <= lost_pct[1]
                assert await gateway.line("connected") == ["False"]
            await lock.line("disconnected")
            assert radio.links_up() == 0

    asyncio.run(story())


def test_killed_board_is_noticed_by_supervision_timeout_and_comes_back_with_its_address() -> None:
    async def story() -> None:
        async with air() as radio, Board(radio, LOCK, "radio_peripheral.py", "echo") as lock:
            await lock.line("up")
            async with Board(radio, GATEWAY, "radio_central.py", "echo", "0", "stay") as gateway:
                await gateway.line("staying")
                assert radio.links_up() == 1
                await lock.kill()
                began_s = asyncio.get_running_loop().time()
                async with Board(radio, LOCK, "radio_peripheral.py", "echo") as reborn:
                    await reborn.line("up")
                    await gateway.line("lost")
                    (link,) = [each for each in radio.links() if each.ended_s]
                    assert link.ended_s - began_s >= 1.9  # of 2 s, which began with the end of the streams
                    assert link.reason == hci.HCI_ErrorCode.CONNECTION_TIMEOUT_ERROR
                    await gateway.line("back")
                    await reborn.line("connected")

    asyncio.run(story())


def test_central_that_is_killed_frees_the_peripheral() -> None:
    async def story() -> None:
        async with air() as radio, Board(radio, LOCK, "radio_peripheral.py", "echo") as lock:
            await lock.line("up")
            async with Board(radio, GATEWAY, "radio_central.py", "echo", "0", "stay") as gateway:
                await gateway.line("staying")
                await gateway.kill()
                await lock.line("disconnected")
            async with Board(radio, GATEWAY, "radio_central.py", "echo", "20", "talk") as gateway:
                assert (await gateway.line("flood"))[0] == "True"

    asyncio.run(story())


def test_bleak_program_reaches_a_board_over_the_hci_port(monkeypatch: pytest.MonkeyPatch) -> None:
    async def story() -> None:
        async with air() as radio, Board(radio, LOCK, "radio_peripheral.py", "echo") as lock:
            await lock.line("up")
            monkeypatch.setattr(bleak_air.Adapter, "spec", "")
            monkeypatch.setenv(bleak_air.ENVIRONMENT, f"tcp-client:127.0.0.1:{radio.hci_port}")
            found: dict = {}
            async with BleakScanner(lambda device, advert: found.update({device.name: (device, advert)}), **SCANNER):
                await eventually(lambda: "echo" in found)
            device, advert = found["echo"]
            assert device.address.lower() == LOCK_ADDRESS
            assert advert.manufacturer_data == {0x1234: b"maker"}
            assert advert.service_uuids == ["00001910-0000-1000-8000-00805f9b34fb"]
            gone = asyncio.Event()
            heard: asyncio.Queue[bytes] = asyncio.Queue()
            client = BleakClient(device, disconnected_callback=lambda _: gone.set(), backend=bleak_air.AirClient)
            await client.connect()
            assert bytes(await client.read_gatt_char("00002a24-0000-1000-8000-00805f9b34fb")) == b"model"
            await client.start_notify(VALUE, lambda _, value: heard.put_nowait(bytes(value)))
            for number in range(6):
                await client.write_gatt_char(VALUE, b"w%d" % number, response=bool(number & 1))
                assert await asyncio.wait_for(heard.get(), 2) == b"w%d" % number
            await lock.kill()
            await asyncio.wait_for(gone.wait(), 6)  # supervision time-out of 4.2 s
            with pytest.raises(BleakError):
                await client.read_gatt_char(VALUE)
            with pytest.raises(TimeoutError):
                await BleakClient(device, timeout=0.5, backend=bleak_air.AirClient).connect()

    asyncio.run(story())


SCANNER = {"backend": bleak_air.AirScanner}


def test_same_seed_gives_each_link_the_same_draws() -> None:
    async def draws(seed: int, others: bool) -> list[bool]:
        one, other, third = (parse_address(f"24:0a:c4:00:00:{last}") for last in ("12", "22", "32"))
        place = Air(seed, "home")
        drawn = []
        for _ in range(200):
            drawn.append(place.loses("data", 0.05, one, other))
            if others:
                place.loses("data", 0.05, one, third)
        return drawn

    plain = asyncio.run(draws(5, False))
    assert plain == asyncio.run(draws(5, True))
    assert plain != asyncio.run(draws(6, False))
    assert 2 <= sum(plain) <= 25


def test_signal_falls_with_distance_and_ends() -> None:
    async def story() -> None:
        place = Air(1, "home")
        one, other = parse_address("24:0a:c4:00:00:12"), parse_address("24:0a:c4:00:00:22")
        place.place(one, 0, 0)
        means = []
        for metres in (1, 5, 20):
            place.place(other, metres, 0)
            means.append(sum(place.rssi_dbm(one, other) for _ in range(50)) / 50)
        assert means[0] > -50 > means[1] > means[2]

    asyncio.run(story())


@pytest.mark.parametrize("value", [[], [None, True, False, -1, 2**31 - 1, b"", b"\0" * 300, "é", [[b"x"], []]]])
def test_codec_round_trip(value: list) -> None:
    assert codec.decode(bytes(codec.encode(value))) == value


def test_codec_refuses_what_is_not_one_whole_list() -> None:
    whole = bytes(codec.encode(["adv", 1000, b"abc", [1, None]]))
    for end in range(len(whole)):
        with pytest.raises(ValueError):
            codec.decode(whole[:end])
    for wrong in (whole + b"N", b"N", b"l\x01?", b"l\x01s\x00\x01\xff"):
        with pytest.raises(ValueError):
            codec.decode(wrong)


# What the simulator overrides, calls from an override, or replaces: owner, name, parameters after self.
USED = """
Connection __post_init__
Connection on_hci_acl_data_packet packet
Connection on_acl_pdu pdu
Connection send_ll_control_pdu packet
Controller __init__ name host_source host_sink link public_address
Controller _send_hci_command_status status op_code
Controller allocate_connection_handle
Controller create_le_connection peer_address
Controller find_le_connection_by_handle handle
Controller on_hci_disconnect_command command
Controller on_hci_le_connection_update_command command
Controller on_hci_le_create_connection_cancel_command _command
Controller on_hci_le_create_connection_command command
Controller on_hci_le_set_scan_enable_command command
Controller on_hci_reset_command _command
Controller on_hci_acl_data_packet packet
Controller on_hci_command_packet command
Controller on_hci_packet packet
Controller on_le_disconnected connection reason
Controller on_ll_control_pdu sender_address packet
Controller send_hci_packet packet
LegacyAdvertiser _on_timer_fired
LegacyAdvertiser send_advertising_data
LegacyAdvertiser start
LegacyAdvertiser stop
Client on_att_handle_value_indication indication
Client on_att_handle_value_notification notification
Client send_confirmation confirmation
Server read_cccd bearer characteristic
Server write_cccd bearer characteristic value
Server indicate_subscriber bearer attribute value force
Server notify_subscriber bearer attribute value force
Manager get_long_term_key connection rand ediv
Controller on_le_long_term_key_reply connection request long_term_key
Host on_hci_acl_data_packet packet
Host on_hci_event_packet event
Host on_hci_packet packet
Host send_hci_packet packet
LocalLink add_controller controller
"""


def test_bumble_internals_have_the_signatures_we_override() -> None:
    assert version("bumble") == "0.0.236"
    found = []
    for owner, name, *_ in map(str.split, USED.strip().splitlines()):
        modules = {"Client": gatt_client, "Host": host, "LocalLink": link, "Manager": smp, "Server": gatt_server}
        module = modules.get(owner, controller)
        parameters = list(inspect.signature(getattr(getattr(module, owner), name)).parameters)
        found.append(" ".join([owner, name, *parameters[1:]]))
    assert found == USED.strip().splitlines()
    fields = {"pending_le_connection", "le_scan_enable", "le_scan_window", "le_scan_interval", "filter_duplicates"}
    assert fields <= set(dir(controller.Controller))
    session = inspect.getsource(smp.Session.__init__)
    for name in ("ltk_ediv", "ltk_rand", "peer_ltk", "peer_ediv", "peer_rand", "bonding", "sc", "pairing_method"):
        assert f"self.{name}" in session, name
    assert hci.HCI_LE_Advertising_Report_Event.EventType.SCAN_RSP == 4
