"""GATT of a simulated board as NimBLE has it: registration, values, discovery, reads, writes, MTU, updates."""

import asyncio
import contextlib
from pathlib import Path

import pytest
from bumble import att, gatt_client, gatt_server
from bumble.device import Device
from bumble.hci import Address
from bumble.transport import open_transport

from host_tools.sim.ble.errno_words import E2BIG, EALREADY, EBUSY, EINVAL, ENOMEM, ENOTCONN
from tests.host.radio_bench import (
    CENTRAL_CONNECT,
    CENTRAL_DISCONNECT,
    CHARACTERISTIC_DONE,
    CHARACTERISTIC_RESULT,
    DESCRIPTOR_DONE,
    DESCRIPTOR_RESULT,
    GATTS_READ_REQUEST,
    GATTS_WRITE,
    HANG_S,
    INDICATE,
    INDICATE_DONE,
    MTU_EXCHANGED,
    NOTIFY,
    PERIPHERAL_DISCONNECT,
    READ_DONE,
    READ_RESULT,
    SERVICE_DONE,
    SERVICE_RESULT,
    WRITE_DONE,
    address,
    boards,
    eventually,
    linked,
    on_every_port,
)

ATT = 0x100  # + ATT error: the status of a procedure
NO_LINK = 0xFFFF
SERVICE = "a5a5a5a5-ffff-9999-1111-5a5a5a5a5a5a"
LONG = "00000000-1111-2222-3333-444444444444"
# read 2, write without response 4, write 8, notify 0x10, indicate 0x20
TABLE = (
    f"((UUID('{SERVICE}'), ((UUID('{LONG}'), 0x3A, ((UUID(0x2901), 2), (UUID(0x2904), 10))), (UUID(0x2A19), 0x0A),"
    " (UUID(0x2A1A), 0x08))), (UUID(0x180F), ((UUID(0x2A19), 0x02),)))"
)


async def served(peripheral) -> list[int]:
    """Register TABLE -> its handles in one list: value, two descriptors, value, write-only value, other service's."""
    handles = await peripheral.do(f"ble.gatts_register_services({TABLE})")
    assert [len(each) for each in handles] == [5, 1]
    return [each for service in handles for each in service]


@contextlib.asynccontextmanager
async def host(radio):
    """A foreign host (Bumble) that is connected to the first board: its GATT client."""
    async with await open_transport(f"tcp-client:127.0.0.1:{radio.hci_port}") as transport:
        device = Device.with_hci("host", Address("F0:F1:F2:F3:F4:F5"), transport.source, transport.sink)
        await device.power_on()
        link = await device.connect_le(Address(address()[::-1], Address.PUBLIC_DEVICE_ADDRESS), timeout=HANG_S)
        yield link.gatt_client
        await link.disconnect()


@on_every_port
def test_services_are_discovered_with_their_handles_and_filters(port: str, tmp_path: Path) -> None:
    async def story() -> None:
        async with boards(port, tmp_path) as (_, one, other):
            long, user, form, level, sink, battery = await served(one)
            assert (user, form) == (long + 2, long + 3)  # the CCCD comes first
            _, link = await linked(one, other)
            await other.do(f"ble.gattc_discover_services({link})")
            assert await other.event(SERVICE_DONE) == [link, 0]
            found = [args for kind, args in other.events if kind == SERVICE_RESULT]
            names = [each[3] for each in found]
            assert names == ["UUID(0x1800)", "UUID(0x1801)", f"UUID('{SERVICE}')", "UUID(0x180f)"]
            first, last = found[2][1:3]
            assert (first, last) == (long - 2, sink)
            other.events.clear()
            await other.do(f"ble.gattc_discover_services({link}, UUID('{SERVICE}'))")
            assert await other.event(SERVICE_RESULT) == [link, first, last, f"UUID('{SERVICE}')"]
            assert await other.event(SERVICE_DONE) == [link, 0]
            await other.do(f"ble.gattc_discover_services({link}, UUID(0x1234))")
            assert await other.event(SERVICE_DONE) == [link, 0]
            assert other.count(SERVICE_RESULT) == 0

            await other.do(f"ble.gattc_discover_characteristics({link}, {first}, {last})")
            assert await other.event(CHARACTERISTIC_DONE) == [link, 0]
            found = [args[1:] for kind, args in other.events if kind == CHARACTERISTIC_RESULT]
            assert found[:3] == [
                [form, long, 0x3A, f"UUID('{LONG}')"],
                [level, level, 0x0A, "UUID(0x2a19)"],
                [sink, sink, 0x08, "UUID(0x2a1a)"],
            ]
            other.events.clear()
            await other.do(f"ble.gattc_discover_characteristics({link}, {first}, {last}, UUID(0x2a19))")
            assert await other.event(CHARACTERISTIC_RESULT) == [link, level, level, 0x0A, "UUID(0x2a19)"]
            assert await other.event(CHARACTERISTIC_DONE) == [link, 0]
            assert other.count(CHARACTERISTIC_RESULT) == 0
            await other.do(f"ble.gattc_discover_descriptors({link}, {long}, {form})")
            assert await other.event(DESCRIPTOR_DONE) == [link, 0]
            found = [args[1:] for kind, args in other.events if kind == DESCRIPTOR_RESULT]
            assert found == [[long + 1, "UUID(0x2902)"], [user, "UUID(0x2901)"], [form, "UUID(0x2904)"]]
            assert (await other.fails(f"ble.gattc_discover_services({link}, 0x1800)")) == "TypeError UUID"

    asyncio.run(story())


@on_every_port
def test_characteristics_are_discovered_on_one_link_at_a_time(port: str, tmp_path: Path) -> None:
    async def story() -> None:
        async with boards(port, tmp_path, profile="home") as (_, one, other):
            await served(one)
            _, link = await linked(one, other)
            await other.do(f"ble.gattc_discover_characteristics({link}, 1, 0xffff)")
            assert await other.refused(f"ble.gattc_discover_characteristics({link}, 1, 0xffff)") == EBUSY
            assert await other.event(CHARACTERISTIC_DONE) == [link, 0]
            await other.do(f"ble.gattc_discover_characteristics({link}, 1, 0xffff)")
            assert await other.event(CHARACTERISTIC_DONE) == [link, 0]

    asyncio.run(story())


@on_every_port
def test_registration_is_checked(port: str, tmp_path: Path) -> None:
    async def story() -> None:
        async with boards(port, tmp_path) as (_, one, other):
            register = "ble.gatts_register_services"
            nine = "[(UUID(n), ()) for n in range(9)]"
            assert await one.refused(f"{register}({nine})") == E2BIG
            assert await one.do(f"{register}({nine}[:8])") == ((),) * 8
            assert await one.fails(f"{register}(((1, ()),))") == "ValueError invalid service UUID"
            assert (
                await one.fails(f"{register}(((UUID(1), ((UUID(2),),)),))") == "ValueError invalid characteristic tuple"
            )
            assert await one.fails(f"{register}(((UUID(1), ((2, 2),)),))") == "ValueError invalid characteristic UUID"
            wrong = f"{register}(((UUID(1), ((UUID(2), 2, ((3, 2),)),)),))"
            assert await one.fails(wrong) == "ValueError invalid descriptor UUID"
            handle = (await served(one))[0]
            await one.do("ble.gap_advertise(20_000)")
            assert await one.refused(f"{register}(())") == EBUSY
            await one.do("ble.gap_advertise(None)")
            await linked(one, other)
            assert await one.refused(f"{register}(())") == EBUSY
            assert await one.do(f"ble.gatts_write({handle}, b'still')") == 5

    asyncio.run(story())


@on_every_port
def test_local_values_buffers_and_append(port: str, tmp_path: Path) -> None:
    async def story() -> None:
        async with boards(port, tmp_path) as (_, one, other):
            long, user, _, level, sink, _ = await served(one)
            assert await one.do(f"ble.gatts_read({long})") == b""
            assert await one.do("ble.gatts_read(999)") == b""
            assert await one.refused("ble.gatts_write(999, b'')") == EINVAL
            assert await one.refused("ble.gatts_set_buffer(999, 10)") == EINVAL
            assert await one.do(f"ble.gatts_write({long}, 'text')") == 4
            assert await one.do(f"ble.gatts_read({long}), ble.gatts_read({long})") == (b"text", b"text")
            _, link = await linked(one, other)
            await other.do(f"ble.gattc_exchange_mtu({link})")
            await other.event(MTU_EXCHANGED)

            async def write(handle: int, size: int, letter: str) -> None:
                await other.do(f"ble.gattc_write({link}, {handle}, '{letter}' * {size}, 1)")
                assert await other.event(WRITE_DONE) == [link, handle, 0]
                assert (await one.event(GATTS_WRITE))[1] == handle

            await write(level, 30, "a")
            assert await one.do(f"ble.gatts_read({level})") == b"a" * 20  # the default room
            await one.do(f"ble.gatts_write({level}, bytes(25))")  # a longer value makes room
            await write(level, 30, "b")
            assert await one.do(f"ble.gatts_read({level})") == b"b" * 25
            await one.do(f"ble.gatts_set_buffer({level}, 40)")
            assert await one.do(f"ble.gatts_read({level})") == b""
            await write(level, 50, "c")
            assert await one.do(f"ble.gatts_read({level})") == b"c" * 40
            await one.do(f"ble.gatts_set_buffer({sink}, 50, True)")
            for letter in "def":
                await write(sink, 20, letter)
            assert await one.do(f"ble.gatts_read({sink})") == b"d" * 20 + b"e" * 20 + b"f" * 10
            assert await one.do(f"ble.gatts_read({sink})") == b""
            await one.do(f"ble.gatts_write({user}, b'name')")
            await other.do(f"ble.gattc_read({link}, {user})")
            assert await other.event(READ_RESULT) == [link, user, b"name"]

    asyncio.run(story())


@on_every_port
def test_reads_writes_and_their_refusals(port: str, tmp_path: Path) -> None:
    async def story() -> None:
        async with boards(port, tmp_path) as (_, one, other):
            long, user, _, level, sink, _ = await served(one)
            mine, link = await linked(one, other)
            await one.do(f"ble.gatts_write({level}, 'ready')")
            await other.do(f"ble.gattc_read({link}, {level})")
            assert await other.order(READ_RESULT, READ_DONE) == [READ_RESULT, READ_DONE]
            assert await one.event(GATTS_READ_REQUEST) == [mine, level]
            for handle, status in ((sink, 0x02), (999, 0x01)):
                await other.do(f"ble.gattc_read({link}, {handle})")
                assert await other.event(READ_DONE) == [link, handle, ATT + status]
            for handle, status in ((user, 0x03), (999, 0x01)):
                await other.do(f"ble.gattc_write({link}, {handle}, b'x', 1)")
                assert await other.event(WRITE_DONE) == [link, handle, ATT + status]
            assert await other.refused(f"ble.gattc_write({link}, {level}, b'x', 2)") == EINVAL
            assert await other.refused(f"ble.gattc_write(99, {level}, b'x', 1)") == ENOTCONN
            assert await other.refused(f"ble.gattc_read(99, {level})") == ENOTCONN
            # a handler refuses a read, or serves a fresh value
            await one.do("answers[4] = lambda conn, handle: 0x08")
            await other.do(f"ble.gattc_read({link}, {level})")
            assert await other.event(READ_DONE) == [link, level, ATT + 0x08]
            await one.do("answers[4] = lambda conn, handle: ble.gatts_write(handle, b'fresh') and None")
            await other.do(f"ble.gattc_read({link}, {level})")
            assert await other.event(READ_RESULT) == [link, level, b"fresh"]
            assert await other.event(READ_DONE) == [link, level, 0]
            # without response, in order
            for number in range(5):
                await other.do(f"ble.gattc_write({link}, {level}, b'{number}')")
            for _ in range(5):
                assert await one.event(GATTS_WRITE) == [mine, level]
            assert await one.do(f"ble.gatts_read({level})") == b"4"
            assert other.count(WRITE_DONE) == 0
            # a CCCD takes two bytes of what its characteristic can do
            for value, status in ((b"\x03\x00", 0), (b"\x04\x00", 0x06), (b"\x01", 0x0D)):
                await other.do(f"ble.gattc_write({link}, {long + 1}, {value!r}, 1)")
                assert await other.event(WRITE_DONE) == [link, long + 1, status and ATT + status]

    asyncio.run(story())


@on_every_port
def test_no_more_than_four_procedures_at_a_time(port: str, tmp_path: Path) -> None:
    async def story() -> None:
        async with boards(port, tmp_path) as (_, one, other):
            level = (await served(one))[3]
            _, link = await linked(one, other)
            await other.do("burst = lambda link, handle: [attempt(link, handle) for _ in range(6)]")
            await other.do(
                "exec('def attempt(link, handle):\\n try:\\n  ble.gattc_read(link, handle)\\n  return 0\\n"
                " except OSError as err:\\n  return err.errno')"
            )
            await one.do("import time")
            await one.do("answers[4] = lambda *_: time.sleep_ms(30)")
            answers = await other.do(f"burst({link}, {level})")
            assert answers[:4] == [0] * 4
            assert ENOMEM in answers
            for _ in range(answers.count(0)):
                assert await other.event(READ_DONE) == [link, level, 0]

    asyncio.run(story())


@on_every_port
def test_mtu_is_exchanged_once_from_either_end(port: str, tmp_path: Path) -> None:
    async def story() -> None:
        async with boards(port, tmp_path) as (_, one, other):
            long = (await served(one))[0]
            mine, link = await linked(one, other)
            await one.do(f"ble.gatts_write({long}, bytes(range(100)))")
            await other.do(f"ble.gattc_read({link}, {long})")
            assert await other.event(READ_RESULT) == [link, long, bytes(range(22))]  # one request: cut at the MTU
            await other.do("ble.config(mtu=60)")
            await other.do(f"ble.gattc_exchange_mtu({link})")
            assert await other.event(MTU_EXCHANGED) == [link, 60]
            assert await one.event(MTU_EXCHANGED) == [mine, 60]
            assert await other.refused(f"ble.gattc_exchange_mtu({link})") == EALREADY
            assert await one.refused(f"ble.gattc_exchange_mtu({mine})") == EALREADY
            await other.do(f"ble.gattc_read({link}, {long})")
            assert await other.event(READ_RESULT) == [link, long, bytes(range(59))]
            await one.do(f"ble.gatts_set_buffer({long}, 100)")
            await other.do(f"ble.gattc_write({link}, {long}, bytes(100), 1)")
            await other.event(WRITE_DONE)
            assert await one.do(f"ble.gatts_read({long})") == bytes(57)
            await one.do(f"ble.gatts_notify({mine}, {long}, bytes(100))")
            assert await other.event(NOTIFY) == [link, long, bytes(57)]
            await other.do(f"ble.gap_disconnect({link})")
            await one.event(CENTRAL_DISCONNECT)
            mine, link = await linked(one, other)
            await one.do("ble.config(mtu=50)")
            await one.do(f"ble.gattc_exchange_mtu({mine})")
            assert await one.event(MTU_EXCHANGED) == [mine, 50]
            assert await other.event(MTU_EXCHANGED) == [link, 50]

    asyncio.run(story())


@on_every_port
def test_notifications_indications_and_updates_of_subscribers(port: str, tmp_path: Path) -> None:
    async def story() -> None:
        async with boards(port, tmp_path) as (_, one, other):
            long = (await served(one))[0]
            mine, link = await linked(one, other)
            await one.do(f"ble.gatts_notify({mine}, {long}, b'asked by nobody')")
            assert await other.event(NOTIFY) == [link, long, b"asked by nobody"]
            await one.do(f"ble.gatts_write({long}, 'own')")
            await one.do(f"ble.gatts_notify({mine}, {long})")
            assert await other.event(NOTIFY) == [link, long, b"own"]
            assert await one.event(GATTS_READ_REQUEST) == [NO_LINK, long]
            await one.do(f"ble.gatts_indicate({mine}, {long}, b'sure')")
            assert await other.event(INDICATE) == [link, long, b"sure"]
            assert await one.event(INDICATE_DONE) == [mine, long, 0]
            assert await one.refused(f"ble.gatts_notify(99, {long}, b'')") == ENOTCONN
            assert await one.refused(f"ble.gatts_indicate(99, {long}, b'')") == ENOTCONN
            assert await one.refused(f"ble.gatts_notify({mine}, 0, b'')") == EINVAL
            assert await one.refused(f"ble.gatts_notify({mine}, 999)") == -9  # BLE_HS_EAPP has no errno
            await one.do(f"ble.gatts_write({long}, 'quiet', True)")
            for value, expected in ((1, NOTIFY), (2, INDICATE)):
                await other.do(f"ble.gattc_write({link}, {long + 1}, b'\\x0{value}\\x00', 1)")
                await other.event(WRITE_DONE)
                await one.do(f"ble.gatts_write({long}, 'loud{value}', True)")
                assert await other.event(expected) == [link, long, b"loud%d" % value]
            assert await one.event(INDICATE_DONE) == [mine, long, 0]
            await other.do(f"ble.gattc_write({link}, {long + 1}, b'\\x00\\x00', 1)")
            await other.event(WRITE_DONE)
            await one.do(f"ble.gatts_write({long}, 'quiet', True)")
            assert other.count(NOTIFY) == other.count(INDICATE) == 0

    asyncio.run(story())


@on_every_port
def test_procedures_of_a_lost_link_fail_before_it_is_reported(port: str, tmp_path: Path) -> None:
    async def story() -> None:
        async with boards(port, tmp_path) as (_, one, other):
            long = (await served(one))[0]
            mine, link = await linked(one, other)
            await one.kill()
            await other.do(f"ble.gattc_read({link}, {long})")
            await other.do(f"ble.gattc_discover_services({link})")
            await other.do(f"ble.gatts_indicate({link}, 3, b'anybody?')")
            order = await other.order(INDICATE_DONE, READ_DONE, SERVICE_DONE, PERIPHERAL_DISCONNECT)
            assert order == [INDICATE_DONE, READ_DONE, SERVICE_DONE, PERIPHERAL_DISCONNECT]
            statuses = [ast for ast in other.lines if ast.startswith(("E (16,", "E (10,", "E (20,"))]
            assert [each[-3:] for each in statuses] == ["7])"] * 3, statuses  # BLE_HS_ENOTCONN
            assert await other.refused(f"ble.gattc_read({link}, {long})") == ENOTCONN

    asyncio.run(story())


@on_every_port
def test_peer_that_does_not_answer_times_out_and_the_link_ends(
    port: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story() -> None:
        async with boards(port, tmp_path) as (radio, one, other):
            level = (await served(one))[3]
            _, link = await linked(one, other)
            await one.do("import time")
            await one.do("answers[4] = lambda *_: time.sleep_ms(1500)")
            monkeypatch.setattr(gatt_client, "GATT_REQUEST_TIMEOUT", 0.4)  # else 30 s
            await other.do(f"ble.gattc_read({link}, {level})")
            assert await other.event(READ_DONE) == [link, level, 13]  # BLE_HS_ETIMEOUT
            assert await other.event(PERIPHERAL_DISCONNECT) == [link, 0, address()]
            await one.event(CENTRAL_DISCONNECT)
            mine, link = await linked(one, other)
            monkeypatch.setattr(gatt_server, "GATT_REQUEST_TIMEOUT", 0.4)
            for each in radio.air.links:
                each.fall_silent()
            await one.do(f"ble.gatts_indicate({mine}, {level}, b'anybody?')")
            assert await one.event(INDICATE_DONE) == [mine, level, 13]
            await one.event(CENTRAL_DISCONNECT)

    asyncio.run(story())


@on_every_port
def test_gap_name_is_read_by_peers(port: str, tmp_path: Path) -> None:
    async def story() -> None:
        async with boards(port, tmp_path) as (_, one, other):
            _, link = await linked(one, other)
            await other.do(f"ble.gattc_discover_characteristics({link}, 1, 0xffff, UUID(0x2a00))")
            handle = (await other.event(CHARACTERISTIC_RESULT))[2]
            await other.event(CHARACTERISTIC_DONE)
            for name in ("MPY ESP32", "front door"):
                await other.do(f"ble.gattc_read({link}, {handle})")
                assert await other.event(READ_RESULT) == [link, handle, name.encode()]
                await one.do("ble.config(gap_name='front door')")

    asyncio.run(story())


@on_every_port
def test_long_reads_and_prepared_writes_of_a_foreign_host(port: str, tmp_path: Path) -> None:
    async def story() -> None:
        async with boards(port, tmp_path, count=1) as (radio, one):
            long, _, _, level, sink, _ = await served(one)
            whole = bytes(range(200))
            await one.do(f"ble.gatts_set_buffer({long}, 200)")
            await one.do(f"ble.gatts_write({long}, {whole!r})")
            await one.do("ble.gap_advertise(20_000)")
            async with host(radio) as client:
                await one.event(CENTRAL_CONNECT)
                assert bytes(await client.read_value(long)) == whole  # Read, then Read Blob
                assert one.count(GATTS_READ_REQUEST) > 5
                for at in range(0, 200, 18):
                    part = whole[at : at + 18][::-1]
                    answer = await client.send_request(
                        att.ATT_Prepare_Write_Request(attribute_handle=long, value_offset=at, part_attribute_value=part)
                    )
                    assert answer.part_attribute_value == part
                assert one.count(GATTS_WRITE) == 0
                await client.send_request(att.ATT_Execute_Write_Request(flags=1))
                await one.event(GATTS_WRITE)
                assert one.count(GATTS_WRITE) == 0
                turned = b"".join(whole[at : at + 18][::-1] for at in range(0, 200, 18))
                assert await one.do(f"ble.gatts_read({long})") == turned
                await client.send_request(
                    att.ATT_Prepare_Write_Request(attribute_handle=sink, value_offset=0, part_attribute_value=b"no")
                )
                await client.send_request(att.ATT_Execute_Write_Request(flags=0))
                assert one.count(GATTS_WRITE) == 0
            await one.event(CENTRAL_DISCONNECT)
            await eventually(lambda: radio.links_up() == 0)

    asyncio.run(story())
