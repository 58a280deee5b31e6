"""Gateways in their add window (domain.md 6.1), over this computer's Bluetooth: which there are, which networks they
hear, and giving one of them its settings and its owner.

Owns the order of the steps and what is said of a failure. Settings, their checks and the sentences are those of
`provisioning`, which does the same over USB; the protocol is `host_tools.near.protocomm_client`'s. Whether the gateway
then answers over MQTT is the caller's to ask: it starts anew, and its Bluetooth with it.
"""

import asyncio
import contextlib
import json
import time
from collections.abc import Callable
from dataclasses import dataclass

import segno
from bleak import BleakScanner
from bleak.backends.device import BLEDevice
from bleak.exc import BleakError

from firmware.lib import protobuf, protocomm
from firmware.lib.errors import ProtocolError
from host_tools import text
from host_tools.boards import board_files
from host_tools.boards.provisioning import STATES, Owns, accepted, normal
from host_tools.errors import HostError
from host_tools.near.protocomm_client import Client

_JOIN_S = 60
_LOOK_S = 0.5
_OWN_S = 60
_COUNT = 4  # networks of one answer, as Espressif's apps ask for them
_MAX_NETWORKS = 64
_AUTH = ("open", "WEP", "WPA", "WPA2", "WPA/WPA2", "WPA2 enterprise", "WPA3", "WPA2/WPA3")
_FAILED = {protocomm.AUTH_ERROR: "wifi_password", protocomm.NETWORK_NOT_FOUND: "wifi_name"}


@dataclass
class Board:
    """A gateway in its add window, as it was heard."""

    device: BLEDevice
    name: str
    rssi_dbm: int

    @property
    def address(self) -> str:
        return self.device.address


@dataclass
class Network:
    """A Wi-Fi network that a gateway hears."""

    ssid: str
    rssi_dbm: int
    channel: int
    auth: str


@dataclass
class Outcome:
    """What a gateway said of itself (`id`, `version`), and its settings as they are now, the secrets as given."""

    about: dict
    settings: dict

    @property
    def id(self) -> str:
        return str(self.about.get("id"))


async def find(seconds: float = 5, name: str = "") -> list[Board]:
    """Gateways that are in their window, the nearest first; ends early when `name` is heard. HostError `link`."""
    heard: dict[str, Board] = {}
    is_there = asyncio.Event()

    def receive(device, data) -> None:
        called = text.tidy(data.local_name or device.name)
        uuids = [each.lower() for each in data.service_uuids]
        if called.startswith(protocomm.NAME_PREFIX) and protocomm.SERVICE in uuids:
            heard[device.address] = Board(device, called, data.rssi)
            if called == name:
                is_there.set()

    try:
        async with BleakScanner(receive):
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(is_there.wait(), seconds)
    except BleakError as err:
        raise HostError("link", "cannot scan: %s" % err, "switch this computer's Bluetooth on (sim: set GATEHOUSE_AIR)")
    return sorted(heard.values(), key=lambda each: (-each.rssi_dbm, each.name))


async def choose(name: str = "", seconds: float = 20) -> Board:
    """The gateway of that name, or the only one. HostError `not_near`, `bad_request`."""
    boards = await find(seconds if name else min(seconds, 5), name)
    found = [each for each in boards if each.name == name] if name else boards
    if not found:
        todo = "power it, or press its button for three seconds; its light alternates red and blue then"
        raise HostError("not_near", "no gateway%s is in its add window" % (" " + name if name else ""), todo)
    if len(found) > 1:
        names = ", ".join(each.name for each in found)
        raise HostError("bad_request", "several gateways are in their add window: %s" % names, "name one of them")
    return found[0]


def qr_text(name: str, pop: str) -> str:
    """What Espressif's phone apps read from a QR code."""
    return json.dumps({"ver": "v1", "name": name, "pop": pop, "transport": "ble"}, separators=(",", ":"))


def qr_lines(code: str) -> list[str]:
    """The QR code of a text, for a terminal: two rows of it in each line, light on dark by blocks."""
    rows = [list(row) for row in segno.make(code, error="l", micro=False).matrix_iter(border=2)]
    rows += [[0] * len(rows[0])] * (len(rows) % 2)
    signs = {(0, 0): "\u2588", (0, 1): "\u2580", (1, 0): "\u2584", (1, 1): " "}
    pairs = zip(rows[::2], rows[1::2], strict=True)
    return ["".join(signs[above, below] for above, below in zip(*pair, strict=True)) for pair in pairs]


def write_svg(code: str, path: str) -> None:
    """The same as a picture. HostError `io`."""
    try:
        segno.make(code, error="m", micro=False).save(path, kind="svg", scale=4)
    except OSError as err:
        raise HostError("io", "cannot write %s (%s)" % (path, err.strerror or err))


async def networks(board: Board, pop: str) -> list[Network]:
    """Wi-Fi networks that the gateway hears, the strongest first: 2.4 GHz only. HostError."""
    async with Client(board.device) as client:
        await client.open(pop)
        return await _scanned(client)


async def _scanned(client: Client) -> list[Network]:
    start = protobuf.whole(1, 1) + protobuf.whole(3, 5) + protobuf.whole(4, 120)
    _, status = await client.wifi("prov-scan", protocomm.SCAN_START, start)
    if status:
        raise HostError("busy", "the gateway cannot listen for networks now", "run this again")
    found: list[Network] = []
    try:
        members = protobuf.message((await client.wifi("prov-scan", protocomm.SCAN_STATUS))[0])
        count = min(protobuf.number_in(members, 2), _MAX_NETWORKS)
        for at in range(0, count, _COUNT):
            body = protobuf.whole(1, at) + protobuf.whole(2, min(_COUNT, count - at))
            told, _ = await client.wifi("prov-scan", protocomm.SCAN_RESULT, body)
            found += [_network(entry) for number, entry in protobuf.read(told) if number == 1]
    except (ProtocolError, TypeError):
        raise HostError("protocol", "the gateway's list of networks means nothing", "run this again")
    return found


def _network(entry: bytes) -> Network:
    members = protobuf.message(entry)
    rssi_dbm, auth = protobuf.number_in(members, 3), protobuf.number_in(members, 5)
    rssi_dbm -= 1 << 64 if rssi_dbm >> 63 else 0
    ssid = text.printable(protobuf.octets_in(members, 1).decode("utf-8", "replace"), 32)
    return Network(ssid, rssi_dbm, protobuf.number_in(members, 2), _AUTH[auth] if auth < len(_AUTH) else "other")


async def provision(
    board: Board,
    pop: str,
    settings: dict,
    owning: Owns | None = None,
    step: Callable[[str], None] = lambda told: None,
) -> Outcome:
    """Try the Wi-Fi of `settings`, make the gateway its owner's (unless `owning` is None), write all settings, and
    start it anew.

    Raises HostError: `config` for what is refused, `wrong_pop`, `owned`, `wifi_name` and `wifi_password` as over USB,
    `link`. Until the last step nothing but the network, once it has let the gateway in, and the owner is kept, and all
    of it may be done again.
    """
    settings = normal(settings)
    files = board_files.read(settings)
    async with Client(board.device) as client:
        step("asking for its proof of possession")
        await client.open(pop)
        about = await client.ask({"do": "hello"})
        if about.get("role") != "gateway":
            raise HostError("refused", "%s is no gateway" % board.name)
        if settings.get("wifi_ssid") and not settings.get("ip_address"):  # the window asks for an address by DHCP
            step("joining the Wi-Fi")
            await _join(client, settings)
        if owning is not None:
            step("making it yours")
            known = (await client.ask({"do": "settings"})).get("settings") or {}
            request, settle = owning(str(about.get("id")), {**known, **settings})
            settle(await client.ask(request, _OWN_S))
        settings |= await _brought(client, files, step)
        step("giving it its settings")
        accepted(await client.ask({"do": "set", "settings": settings}))
        shown = accepted(await client.ask({"do": "settings"})).get("settings") or {}
        step("starting anew")
        with contextlib.suppress(HostError):  # it may be gone before its answer is fetched
            accepted(await client.ask({"do": "reboot"}))
    return Outcome(about, {**shown, **{key: value for key, value in settings.items() if value is not None}})


async def _join(client: Client, settings: dict) -> None:
    ssid, password = str(settings["wifi_ssid"]), str(settings.get("wifi_password") or "")
    body = protobuf.octets(1, ssid.encode()) + protobuf.octets(2, password.encode())
    for kind, what in ((protocomm.SET_CONFIG, body), (protocomm.APPLY_CONFIG, b"")):
        told, _ = await client.wifi("prov-config", kind, what)
        if _number(told, 1) != protocomm.SUCCESS:
            raise HostError("config", "the gateway takes no such Wi-Fi network or password", "correct them")
    until_s = time.monotonic() + _JOIN_S
    while True:
        told, _ = await client.wifi("prov-config", protocomm.GET_STATUS)
        state = _number(told, 2)
        if state == protocomm.CONNECTED:
            return
        if state == protocomm.FAILED or time.monotonic() > until_s:
            raise await _reason(client, _FAILED.get(_number(told, 10), "wifi"), settings)
        await asyncio.sleep(_LOOK_S)


async def _reason(client: Client, word: str, settings: dict) -> HostError:
    """Why a network did not let the gateway in; the gateway has more words for it than Espressif's two."""
    why = ""
    with contextlib.suppress(HostError):
        told = (await client.ask({"do": "hello"})).get("connection") or {}
        if told.get("state") in STATES:
            word, why = told["state"], " (%s)" % told.get("msg")
    sentence, todo = (each % {"wifi_ssid": settings["wifi_ssid"]} for each in STATES[word])
    return HostError(word, sentence + why, todo)


def _number(told: bytes, field: int) -> int:
    try:
        return protobuf.number_in(protobuf.message(told), field)
    except ProtocolError:
        raise HostError("protocol", "the gateway's answer means nothing", "run this again")


async def _brought(client: Client, files: dict[str, bytes], step: Callable[[str], None]) -> dict[str, str]:
    talk = board_files.talks(files, step)
    try:
        request = next(talk)
        while True:
            request = talk.send(await client.ask(request))
    except StopIteration as end:
        return end.value
