"""A wire tap for a whole day of the demo: every byte on the connections to the broker, of gateway and tools, and all
that the broker publishes. No secret shows in it, and with TLS nothing at all goes in clear (T-GWA-2)."""

import asyncio
import contextlib
import io
import random
import time
from dataclasses import replace
from pathlib import Path

import paho.mqtt.client as paho
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from rich.console import Console

from host_tools import demo
from host_tools.gateway import brokers, certificates, local_brokers, tls
from host_tools.gateway.ekeys import GatewayEkeys
from host_tools.owner import ekeys
from host_tools.owner.keybook import KeyBook
from host_tools.sim.ble import bleak_air
from host_tools.sim.site import owner
from host_tools.sim.site.broker import HOST, find_mosquitto
from host_tools.sim.site.house import HUB, OWNER, RECORDER, has_tls
from host_tools.sim.site.site import Site
from host_tools.sim.site.uplink import Uplink
from tests.faults import canaries
from tests.faults.rows import FULL, Row
from tests.faults.tls_relay import Disturbance, Passage

_SECURE = "mosquitto" if find_mosquitto() else "iotcore"
_PLAIN = "plain"
KINDS = sorted({_SECURE, "iotcore", _PLAIN}) if FULL else [_SECURE]
_TOPIC = b"gatehouse/"  # what shows where anything can be read


class Wire:
    """All that went over the taps: (tap, connection, direction) -> bytes."""

    def __init__(self) -> None:
        self.streams: dict[tuple[str, int, str], bytearray] = {}

    def tap(self, name: str):
        def hear(connection: int, direction: str, part: bytes) -> None:
            self.streams.setdefault((name, connection, direction), bytearray()).extend(part)

        return hear


class Observer:
    """Reads along at the broker, whatever it publishes, also after it was away."""

    def __init__(self, site: Site) -> None:
        self.messages: list[tuple[str, bytes]] = []
        version = paho.CallbackAPIVersion.VERSION2
        self._mqtt = paho.Client(version, client_id="gatehouse-observer", reconnect_on_failure=True)
        self._mqtt.reconnect_delay_set(1, 1)
        house = site.broker.house
        given = house.broker(RECORDER) if house else brokers.Broker(site.mqtt_host, site.mqtt_port, None)
        if given.tls:
            self._mqtt.tls_set_context(tls.context(given.tls))
        self._mqtt.username_pw_set(given.user, given.password)
        self._mqtt.on_connect = lambda *_: self._mqtt.subscribe("#", 1)
        self._mqtt.on_message = lambda _, __, message: self.messages.append((message.topic, message.payload))
        self._mqtt.connect(given.host, given.port)
        self._mqtt.loop_start()

    def close(self) -> None:
        self._mqtt.disconnect()
        self._mqtt.loop_stop()


def _let_the_observer_read(site: Site) -> None:
    """Of the identities that no part of the demo uses, one may read everything."""
    furnish = site.broker.furnish

    def furnished(folder: Path, gateways: list[str]):
        house = furnish(folder, gateways)
        with open(folder / "broker/acl", "a") as file:
            file.write("\nuser %s\ntopic read #\n" % RECORDER)
        return house

    site.broker.furnish = furnished  # type: ignore[method-assign]


async def _tap(site: Site, wire: Wire) -> Uplink:
    """Taps between every gateway and the broker, and between every tool and the broker."""
    for uplink in site.uplinks:
        uplink.taps.append(wire.tap("gateway"))
    relay = Uplink(HOST, site.mqtt_port)
    relay.taps.append(wire.tap("tools"))
    await relay.start()
    direct = site.at_broker

    def through_the_tap(name: str = OWNER) -> str | brokers.Broker:
        given = direct(name)
        return "%s:%d" % (HOST, relay.port) if isinstance(given, str) else replace(given, port=relay.port)

    site.at_broker = through_the_tap  # type: ignore[method-assign]
    if not site.broker.is_secure:
        local_brokers.mark(relay.port)
    return relay


def _plant(secrets: canaries.Canaries, site: Site, book: KeyBook) -> None:
    """What has come into being by the end of the day."""
    for entry in book.entries():
        secrets.plant_entry(entry)
    for gateway in book.gateways():
        secrets.add("issuer key", gateway.command_key)
        if gateway.record_key:
            secrets.add("key of records", gateway.record_key)
    house = site.broker.house
    if house is None:
        return
    for name in (site.gateways[0].id, OWNER, HUB):
        key = certificates.private_key(house.folder / "identities" / name / "key.pem")
        assert isinstance(key, ec.EllipticCurvePrivateKey)
        secrets.add("TLS key", key.private_numbers().private_value.to_bytes(32, "big"))
        is_board = name == site.gateways[0].id
        password = house.board(name)[0].get("mqtt_password") if is_board else house.broker(name).password
        if password:
            secrets.add("broker password", password)


async def _rest_of_the_day(site: Site, told: demo.Demo, secrets: canaries.Canaries, folder: Path) -> None:
    """What the story leaves out: a card, a second code, an ekey, lists, a secret sent where it does not belong."""
    entry = told.entries[0]
    card, code = random.randrange(1 << 40, 1 << 64), canaries.digits()
    secrets.add("card", card)
    secrets.add("code", code, "second code")
    until = int(time.time()) + 86400
    async with owner.connect(site) as gateways:
        lock = await gateways.serving(entry.id, told.gateway)
        await lock.command("card_add", {"number": str(card)}, secret=True)
        await lock.command("passcode_add", {"code": code, "type": "period", "start": until - 90000, "end": until}, True)
        ekey = ekeys.Ekey(0, "Guest", ekeys.PERMANENT, remote=True)
        await ekeys.send(told.book, entry, GatewayEkeys(lock), ekey, folder / "guest.json")
        for op in ("passcode_list", "card_list", "state", "info", "time_get", "diagnosis"):
            await lock.command(op)
        await lock.command("passcode_delete", {"code": code}, secret=True)


@pytest.mark.row("T-GWA-2", "forms of secrets on the wire to the broker and in what it publishes, a day of the demo")
@pytest.mark.parametrize("kind", KINDS)
def test_no_secret_is_on_the_wire_in_a_day_of_the_demo(kind: str, row: Row, tmp_path: Path) -> None:
    assert has_tls()
    random.seed(row.seed)
    secrets, wire = canaries.Canaries(), Wire()
    wifi = canaries.text()
    secrets.add("wifi password", wifi)
    spec = demo.spec_of("iotcore" if kind == _PLAIN else kind)
    spec = replace(spec, secure=kind != _PLAIN, folder=tmp_path / "site", gateway_settings={"wifi_password": wifi})
    messages: list[tuple[str, bytes]] = []

    async def day() -> None:
        site = Site(spec)
        site.wifi.password = wifi
        _let_the_observer_read(site)
        async with site:
            relay = await _tap(site, wire)
            observer = Observer(site)
            bleak_air.install(site.air)
            told = demo.Demo(site, demo.Story(Console(file=io.StringIO())), KeyBook(site.key_book))  # type: ignore[arg-type]
            told.code = canaries.digits()
            secrets.add("code", told.code)
            try:
                await told.tell()
                await _rest_of_the_day(site, told, secrets, tmp_path)
                _plant(secrets, site, told.book)
            finally:
                observer.close()
                messages.extend(observer.messages)
                with contextlib.suppress(OSError):
                    local_brokers.unmark(relay.port)
                await relay.stop()

    asyncio.run(day())
    for where, stream in wire.streams.items():
        for hit in secrets.hits(" ".join(map(str, where)), bytes(stream)):
            row.fail(hit)
    for topic, payload in messages:
        for hit in secrets.hits(topic, topic.encode() + b" " + payload):
            row.fail(hit)
    row.tried(secrets.searched)
    _judge_wire(row, wire, kind)
    leaves = {topic.rpartition("/")[2] for topic, _ in messages}
    row.check(
        {"cmd", "rsp", "state", "info", "records", "ack"} <= leaves, "the observer heard only %s" % sorted(leaves)
    )
    for name, value in (("forms", len(secrets)), ("bytes", sum(map(len, wire.streams.values())))):
        row.figure(name, value)
    row.figure("connections", len({where[:2] for where in wire.streams}))
    row.figure("messages", len(messages))


def _judge_wire(row: Row, wire: Wire, kind: str) -> None:
    """With TLS there are records of TLS and nothing else; without, the taps prove that they can read."""
    for name in ("gateway", "tools"):
        streams = {where: bytes(stream) for where, stream in wire.streams.items() if where[0] == name}
        row.check(sum(map(len, streams.values())) > 5000, "hardly anything went over the tap of the %s" % name)
        for where, stream in streams.items():
            if kind == _PLAIN:
                continue
            passage = Passage(Disturbance("through"))
            passage.said += stream
            row.check(not passage.is_clear and _TOPIC not in stream, "%s is not TLS" % (where,))
        if kind == _PLAIN:
            row.check(any(_TOPIC in stream for stream in streams.values()), "the tap of the %s reads nothing" % name)
