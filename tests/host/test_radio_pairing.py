"""Pairing and bonds of simulated boards as NimBLE has them for MicroPython; secrets outlive a restart of the board."""

import asyncio
import itertools
from pathlib import Path

import pytest

from host_tools.sim.ble.errno_words import EALREADY, EINVAL, ENOENT, ENOTCONN, SM_NUMERIC_COMPARISON
from host_tools.sim.ble.pairing import Pairing
from tests.host.radio_bench import (
    CENTRAL_CONNECT,
    CENTRAL_DISCONNECT,
    ENCRYPTION_UPDATE,
    GATTS_READ_REQUEST,
    GET_SECRET,
    HANG_S,
    PASSKEY_ACTION,
    PERIPHERAL_CONNECT,
    PERIPHERAL_DISCONNECT,
    READ_DONE,
    SET_SECRET,
    WRITE_DONE,
    Remote,
    address,
    boards,
    linked,
    on_every_port,
)

ATT = 0x100
OUR_SEC, PEER_SEC, OUR_IRK = 1, 2, 10
DISPLAY_YES_NO = 1
INPUT, DISPLAY, COMPARE = 2, 3, 4
INSUFFICIENT_AUTHENTICATION, INSUFFICIENT_ENCRYPTION = 0x05, 0x0F
# read 2, write 8; encrypted 0x200, 0x1000; authenticated 0x400, 0x2000
TABLE = "((UUID(0x1234), ((UUID(1), 0x120A | 0x0008), (UUID(2), 0x240A), (UUID(3), 0x0A))),)"


async def setup(*made: Remote, **settings: int) -> None:
    words = ", ".join(f"{name}={value}" for name, value in settings.items())
    for board in made:
        await board.do(f"ble.config({words})")


async def served(peripheral: Remote) -> list[int]:
    """Handles: encrypted, authenticated, open."""
    ((encrypted, authenticated, plain),) = await peripheral.do(f"ble.gatts_register_services({TABLE})")
    for handle in (encrypted, authenticated, plain):
        await peripheral.do(f"ble.gatts_write({handle}, 'value')")
    return [encrypted, authenticated, plain]


async def read_status(central: Remote, link: int, handle: int) -> int:
    await central.do(f"ble.gattc_read({link}, {handle})")
    return (await central.event(READ_DONE))[2]


async def part(peripheral: Remote, central: Remote, link: int) -> None:
    await central.do(f"ble.gap_disconnect({link})")
    await central.event(PERIPHERAL_DISCONNECT)
    await peripheral.event(CENTRAL_DISCONNECT)
    peripheral.events.clear()
    central.events.clear()


async def pair(peripheral: Remote, central: Remote, mine: int, link: int) -> tuple[list, list]:
    """The central pairs -> what both ends hear of the encryption, without the handle."""
    await central.do(f"ble.gap_pair({link})")
    theirs = await central.event(ENCRYPTION_UPDATE)
    ours = await peripheral.event(ENCRYPTION_UPDATE)
    assert (ours[0], theirs[0]) == (mine, link)
    return ours[1:], theirs[1:]


async def secrets_of(board: Remote, *kinds: int) -> list:
    return [each for each in await board.do("secrets") if each[0] in kinds]


async def settled(*made: Remote) -> None:
    """Both halves of the newest bond are kept."""
    for board in made:
        for _ in range(2):
            await board.event(SET_SECRET)
        await board.do("None")  # the handler has returned


@on_every_port
def test_pairing_without_bond_encrypts_and_keeps_nothing(port: str, tmp_path: Path) -> None:
    async def story() -> None:
        async with boards(port, tmp_path) as (_, one, other):
            encrypted, authenticated, plain = await served(one)
            mine, link = await linked(one, other)
            assert await other.refused("ble.gap_pair(99)") == ENOTCONN
            assert await read_status(other, link, plain) == 0
            assert await read_status(other, link, encrypted) == ATT + INSUFFICIENT_AUTHENTICATION
            await other.do(f"ble.gattc_write({link}, {encrypted}, b'x', 1)")
            assert (await other.event(WRITE_DONE))[2] == ATT + INSUFFICIENT_AUTHENTICATION
            assert await pair(one, other, mine, link) == ([1, 0, 0, 16], [1, 0, 0, 16])
            assert await read_status(other, link, encrypted) == 0
            await other.do(f"ble.gattc_write({link}, {encrypted}, b'x', 1)")
            assert (await other.event(WRITE_DONE))[2] == 0
            assert await read_status(other, link, authenticated) == ATT + INSUFFICIENT_AUTHENTICATION
            await other.do(f"ble.gattc_write({link}, {authenticated}, b'x', 1)")
            assert (await other.event(WRITE_DONE))[2] == ATT + INSUFFICIENT_AUTHENTICATION
            for board in (one, other):
                assert await secrets_of(board, OUR_SEC, PEER_SEC) == []
            await part(one, other, link)
            _, link = await linked(one, other)
            assert await read_status(other, link, encrypted) == ATT + INSUFFICIENT_AUTHENTICATION

    asyncio.run(story())


@on_every_port
@pytest.mark.parametrize("le_secure", [0, 1])
def test_bond_survives_a_restart_of_both_boards(port: str, le_secure: int, tmp_path: Path) -> None:
    async def story() -> None:
        async with boards(port, tmp_path) as (_, one, other):
            await setup(one, other, bond=1, le_secure=le_secure)
            mine, link = await linked(one, other)
            one.events.clear()
            other.events.clear()
            assert await pair(one, other, mine, link) == ([1, 0, 1, 16], [1, 0, 1, 16])
            await settled(one, other)
            for board, peer in ((one, address(1)), (other, address(0))):
                kept = await secrets_of(board, OUR_SEC, PEER_SEC)
                assert [each[:2] for each in kept] == [[kind, b"\0" + peer[::-1]] for kind in (OUR_SEC, PEER_SEC)]
            await part(one, other, link)
        async with boards(port, tmp_path) as (_, one, other):
            encrypted = (await served(one))[0]
            mine, link = await linked(one, other)
            assert await read_status(other, link, encrypted) == ATT + INSUFFICIENT_ENCRYPTION  # it has a bond
            assert await pair(one, other, mine, link) == ([1, 0, 1, 16], [1, 0, 1, 16])
            assert await read_status(other, link, encrypted) == 0
            assert one.count(SET_SECRET) == other.count(SET_SECRET) == 0
            await part(one, other, link)
            # the peripheral asks for a bond, the central has one
            await setup(one, bond=1)
            mine, link = await linked(one, other)
            await one.do(f"ble.gap_pair({mine})")
            assert await other.event(ENCRYPTION_UPDATE) == [link, 1, 0, 1, 16]
            assert await one.event(ENCRYPTION_UPDATE) == [mine, 1, 0, 1, 16]

    asyncio.run(story())


@on_every_port
def test_lost_bonds(port: str, tmp_path: Path) -> None:
    async def story() -> None:
        async with boards(port, tmp_path) as (_, one, other):
            await setup(one, other, bond=1)
            mine, link = await linked(one, other)
            await pair(one, other, mine, link)
            await settled(one, other)
            await part(one, other, link)
            # the peripheral forgot: the central's encryption fails, and nobody else hears of it
            await one.do("secrets.clear()")
            mine, link = await linked(one, other)
            await other.do(f"ble.gap_pair({link})")
            assert await other.event(ENCRYPTION_UPDATE) == [link, 0, 0, 0, 0]
            assert one.count(ENCRYPTION_UPDATE) == 0
            # the central forgets too, and they pair anew on the same link
            await other.do("secrets.clear()")
            assert (await pair(one, other, mine, link))[0] == [1, 0, 1, 16]
            await settled(one, other)
            await part(one, other, link)
            # the central forgot: the peripheral drops its bond and pairs
            old = await secrets_of(one, PEER_SEC)
            await other.do("secrets.clear()")
            mine, link = await linked(one, other)
            one.events.clear()
            assert (await pair(one, other, mine, link))[0] == [1, 0, 1, 16]
            dropped = [args for kind, args in one.events if kind == SET_SECRET and args[2] is None]
            assert [args[0] for args in dropped] == [OUR_SEC, OUR_SEC, PEER_SEC, PEER_SEC]  # until told "none left"
            await settled(other)
            assert await secrets_of(one, PEER_SEC) != old

    asyncio.run(story())


@on_every_port
def test_different_keys_end_the_link(port: str, tmp_path: Path) -> None:
    async def story() -> None:
        async with boards(port, tmp_path) as (radio, one, other):
            await setup(one, other, bond=1)
            mine, link = await linked(one, other)
            await pair(one, other, mine, link)
            await settled(one, other)
            await part(one, other, link)
            await one.do(
                "secrets[:] = [[k, name, v[:24] + bytes(16) + v[40:] if k == 1 else v] for k, name, v in secrets]"
            )
            mine, link = await linked(one, other)
            await other.do(f"ble.gap_pair({link})")
            await other.event(PERIPHERAL_DISCONNECT)
            await one.event(CENTRAL_DISCONNECT)
            assert radio.links_up() == 0

    asyncio.run(story())


def _actions(initiator: int, responder: int, le_secure: int) -> tuple[int, int]:
    """Who is asked for what: Core, Vol 3 Part H, table 2.8 (0: nothing)."""
    display, yes_no, keyboard, none, both = range(5)
    if none in (initiator, responder):
        return 0, 0
    if initiator == keyboard:
        return INPUT, INPUT if responder == keyboard else DISPLAY
    if responder == keyboard:
        return DISPLAY, INPUT
    if le_secure and initiator in (yes_no, both) and responder in (yes_no, both):
        return COMPARE, COMPARE
    if responder == both:
        return DISPLAY, INPUT
    if initiator == both:
        return INPUT, DISPLAY
    return 0, 0


ANSWER = "answers[31] = lambda link, action, number: ble.gap_passkey(link, action, 1 if action == 4 else {})"


@on_every_port
@pytest.mark.parametrize("le_secure", [0, 1])
def test_every_pair_of_io_capabilities(port: str, le_secure: int, tmp_path: Path) -> None:
    async def story() -> None:
        async with boards(port, tmp_path) as (_, one, other):
            authenticated = (await served(one))[1]
            await setup(one, other, mitm=1, le_secure=le_secure)
            for board in (one, other):
                await board.do(ANSWER.format(0 if le_secure else 42))
            for initiator, responder in itertools.product(range(5), repeat=2):
                await setup(other, io=initiator)
                await setup(one, io=responder)
                mine, link = await linked(one, other)
                expected = _actions(initiator, responder, le_secure)
                ours, theirs = await pair(one, other, mine, link)
                is_authenticated = int(bool(expected[0]))
                assert ours == theirs == [1, is_authenticated, 0, 16], (initiator, responder)
                asked = [[args for kind, args in board.events if kind == PASSKEY_ACTION] for board in (other, one)]
                assert tuple(each[0][1] if each else 0 for each in asked) == expected, (initiator, responder)
                if COMPARE in expected:
                    assert asked[0][0][2] == asked[1][0][2] < 1_000_000
                status = await read_status(other, link, authenticated)
                assert status == (0 if is_authenticated else ATT + INSUFFICIENT_AUTHENTICATION)
                await part(one, other, link)

    asyncio.run(story())


@on_every_port
@pytest.mark.parametrize("le_secure", [0, 1])
def test_wrong_passkey_fails_at_both_ends_and_the_next_try_may_succeed(
    port: str, le_secure: int, tmp_path: Path
) -> None:
    async def story() -> None:
        async with boards(port, tmp_path) as (_, one, other):
            await setup(one, other, mitm=1, le_secure=le_secure)
            await setup(one, io=0)
            await setup(other, io=2)
            mine, link = await linked(one, other)
            await one.do(ANSWER.format(123456))
            await other.do(ANSWER.format(123457))
            assert await pair(one, other, mine, link) == ([0, 0, 0, 0], [0, 0, 0, 0])
            await other.do(ANSWER.format(123456))
            assert await pair(one, other, mine, link) == ([1, 1, 0, 16], [1, 1, 0, 16])

    asyncio.run(story())


@on_every_port
def test_comparison_that_is_rejected(port: str, tmp_path: Path) -> None:
    async def story() -> None:
        async with boards(port, tmp_path) as (_, one, other):
            await setup(one, other, mitm=1, io=DISPLAY_YES_NO, le_secure=1)
            mine, link = await linked(one, other)
            await other.do(f"ble.gap_pair({link})")
            assert (await one.event(PASSKEY_ACTION))[:2] == [mine, COMPARE]
            assert (await other.event(PASSKEY_ACTION))[:2] == [link, COMPARE]
            assert await one.refused(f"ble.gap_passkey({mine}, {COMPARE}, 0)") == SM_NUMERIC_COMPARISON
            assert await other.event(ENCRYPTION_UPDATE) == [link, 0, 0, 0, 0]
            for board in (one, other):
                await board.do(ANSWER)
            # who said no hears nothing of it: the next update is that of the next try
            assert await pair(one, other, mine, link) == ([1, 1, 0, 16], [1, 1, 0, 16])

    asyncio.run(story())


@on_every_port
def test_passkey_is_refused_when_nobody_asked(port: str, tmp_path: Path) -> None:
    async def story() -> None:
        async with boards(port, tmp_path) as (_, one, other):
            await setup(one, other, mitm=1, le_secure=1)
            await setup(one, io=0)
            await setup(other, io=2)
            mine, link = await linked(one, other)
            assert await other.refused(f"ble.gap_passkey({link}, {INPUT}, 1)") == ENOENT
            assert await other.refused(f"ble.gap_passkey({link}, 7, 1)") == EINVAL
            await other.do(f"ble.gap_pair({link})")
            assert await other.refused(f"ble.gap_pair({link})") == EALREADY
            assert await one.event(PASSKEY_ACTION) == [mine, DISPLAY, 0]
            assert await other.event(PASSKEY_ACTION) == [link, INPUT, 0]
            assert await one.refused(f"ble.gap_passkey({mine}, {INPUT}, 1)") == EINVAL
            assert await one.refused(f"ble.gap_passkey({mine}, {DISPLAY}, 1000000)") == EINVAL
            await one.do(f"ble.gap_passkey({mine}, {DISPLAY}, 999999)")
            assert await one.refused(f"ble.gap_passkey({mine}, {DISPLAY}, 999999)") == EALREADY
            # the link goes while the other program still thinks
            await one.do(f"ble.gap_disconnect({mine})")
            order = await other.order(ENCRYPTION_UPDATE, PERIPHERAL_DISCONNECT)
            assert order == [ENCRYPTION_UPDATE, PERIPHERAL_DISCONNECT]

    asyncio.run(story())


@on_every_port
def test_authenticated_bond_is_one_after_a_restart(port: str, tmp_path: Path) -> None:
    async def story() -> None:
        async with boards(port, tmp_path) as (_, one, other):
            await setup(one, other, mitm=1, bond=1, io=DISPLAY_YES_NO, le_secure=1)
            for board in (one, other):
                await board.do(ANSWER)
            mine, link = await linked(one, other)
            one.events.clear()
            other.events.clear()
            assert await pair(one, other, mine, link) == ([1, 1, 1, 16], [1, 1, 1, 16])
            await settled(one, other)
        async with boards(port, tmp_path) as (_, one, other):
            authenticated = (await served(one))[1]
            mine, link = await linked(one, other)
            assert await pair(one, other, mine, link) == ([1, 1, 1, 16], [1, 1, 1, 16])
            assert await read_status(other, link, authenticated) == 0
            assert other.count(PASSKEY_ACTION) == 0

    asyncio.run(story())


@on_every_port
def test_secrets_at_start_and_a_program_that_keeps_none(port: str, tmp_path: Path) -> None:
    async def story() -> None:
        async with boards(port, tmp_path, is_on=False) as (_, one, other):
            await one.do("ble.active(True)")
            assert [args for kind, args in one.events if kind in (GET_SECRET, SET_SECRET)][0] == [OUR_IRK, 0, b"irk"]
            ((_, name, irk),) = await secrets_of(one, OUR_IRK)
            assert (name, len(irk)) == (b"irk", 16)
            await one.do("ble.active(True)")
            assert await secrets_of(one, OUR_IRK) == [[OUR_IRK, b"irk", irk]]
            await other.do("answers[29] = answers[30] = lambda *_: None")
            await other.do("ble.active(True)")
            await setup(one, other, bond=1)
            mine, link = await linked(one, other)
            one.events.clear()
            assert await pair(one, other, mine, link) == ([1, 0, 1, 16], [1, 0, 1, 16])
            await settled(one)
            assert await secrets_of(other, OUR_SEC, PEER_SEC) == []

    asyncio.run(story())


@on_every_port
def test_private_address_of_a_bonded_peer_is_resolved(port: str, tmp_path: Path) -> None:
    async def story() -> None:
        async with boards(port, tmp_path) as (_, one, other):
            await setup(one, other, bond=1)
            await other.do("ble.config(addr_mode=2)")
            await one.do("ble.gap_advertise(20_000)")
            await other.do(f"ble.gap_connect(0, {address()!r})")
            mine, kind, private = await one.event(CENTRAL_CONNECT)
            assert kind == 1
            assert private[0] >> 6 == 0b01
            link = (await other.event(PERIPHERAL_CONNECT))[0]
            one.events.clear()
            other.events.clear()
            await pair(one, other, mine, link)
            await settled(one, other)
            assert [each[1] for each in await secrets_of(one, PEER_SEC)] == [b"\0" + address(1)[::-1]]
            await other.do(f"ble.gap_disconnect({link})")
            assert (await one.event(CENTRAL_DISCONNECT))[1:] == [0, address(1)]  # by its identity from now on
            await other.event(PERIPHERAL_DISCONNECT)
            for is_restarted in (False, True):
                await other.do("ble.config(addr_mode=2)")  # another private address
                if is_restarted:
                    await one.do("ble.active(True)")
                await one.do("ble.gap_advertise(20_000)")
                await other.do(f"ble.gap_connect(0, {address()!r})")
                mine, *peer = await one.event(CENTRAL_CONNECT)
                assert peer == [0, address(1)]
                if not is_restarted:
                    await part(one, other, (await other.event(PERIPHERAL_CONNECT))[0])
            link = (await other.event(PERIPHERAL_CONNECT))[0]
            assert (await pair(one, other, mine, link))[0] == [1, 0, 1, 16]
            await part(one, other, link)
            # and the other way round: under its identity it is found while it advertises under a private address
            await other.do("ble.gap_advertise(20_000)")
            await one.do(f"ble.gap_connect(0, {address(1)!r})")
            assert (await one.event(PERIPHERAL_CONNECT))[1:] == [0, address(1)]
            await other.do("ble.gap_advertise(None)")

    asyncio.run(story())


@on_every_port
def test_pairing_that_a_program_forgets_times_out_at_both_ends(
    port: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story() -> None:
        monkeypatch.setattr(Pairing, "timeout_s", 0.4)
        async with boards(port, tmp_path) as (_, one, other):
            await setup(one, other, mitm=1, io=DISPLAY_YES_NO)
            mine, link = await linked(one, other)
            assert await pair(one, other, mine, link) == ([0, 0, 0, 0], [0, 0, 0, 0])
            monkeypatch.setattr(Pairing, "timeout_s", 30)
            for board in (one, other):
                await board.do(ANSWER)
            assert await pair(one, other, mine, link) == ([1, 1, 0, 16], [1, 1, 0, 16])

    asyncio.run(story())


@on_every_port
def test_program_without_room_loses_its_oldest_bond(port: str, tmp_path: Path) -> None:
    async def story() -> None:
        async with boards(port, tmp_path, count=3) as (_, hub, *others):
            await setup(hub, *others, bond=1)
            await hub.do("peers = lambda but: {each[1] for each in secrets if each[0] == 1 and each[1] != bytes(but)}")
            await hub.do(
                "answers[30] = lambda k, key, v: False if v and k < 10 and peers(key) else set_secret(k, key, v)"
            )
            for number, other in enumerate(others, 1):
                mine, link = await linked(hub, other)
                await pair(hub, other, mine, link)
                await settled(other)
                await part(hub, other, link)
                wanted = [[kind, b"\0" + address(number)[::-1]] for kind in (OUR_SEC, PEER_SEC)]
                async with asyncio.timeout(HANG_S):
                    while [each[:2] for each in await secrets_of(hub, OUR_SEC, PEER_SEC)] != wanted:
                        await asyncio.sleep(0.05)

    asyncio.run(story())


@on_every_port
def test_encryption_is_reported_before_the_first_read_that_needs_it(port: str, tmp_path: Path) -> None:
    async def story() -> None:
        async with boards(port, tmp_path, profile="home") as (_, one, other):
            encrypted = (await served(one))[0]
            for _ in range(4):
                _, link = await linked(one, other)
                await other.do(f"answers[28] = lambda *_: ble.gattc_read({link}, {encrypted})")
                await other.do(f"ble.gap_pair({link})")
                assert (await other.event(READ_DONE))[2] == 0
                assert await one.order(ENCRYPTION_UPDATE, GATTS_READ_REQUEST) == [ENCRYPTION_UPDATE, GATTS_READ_REQUEST]
                await part(one, other, link)

    asyncio.run(story())
