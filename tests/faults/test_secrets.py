"""Canaries (T-LOG-1): what is secret goes in and never comes out, neither over MQTT, nor in what a board or the host
prints, nor on flash where it has no business."""

import asyncio
import binascii
import hashlib
import json
import random
import time
from pathlib import Path

import pytest

from firmware.gateway.operations import queries
from firmware.lib import opcodes
from firmware.lib.messages import card_client
from host_tools.errors import HostError
from host_tools.gateway.ekeys import GatewayEkeys
from host_tools.owner import ekeys
from host_tools.owner.keybook import Entry, KeyBook
from host_tools.sim.site import owner
from tests.faults import canaries
from tests.faults.rows import Row
from tests.system.bench import Bench

_IN = ("cmd", "set")  # what comes from the owner
_IN_CLEAR = ("wifi password", "broker password", "TLS key")  # on a gateway's flash: SECURITY.md has the table
_ELSEWHERE = {"proof of possession"}  # of provisioning over BLE, whose own test looks for it


@pytest.mark.row("T-LOG-1", "forms of secrets in messages, logs, host output and flash")
def test_no_secret_leaves_by_mqtt_or_by_a_log(row: Row, tmp_path, capfd) -> None:
    secrets = canaries.Canaries()
    random.seed(row.seed)
    found: list[str] = []
    code, wrong, other = canaries.digits(), canaries.digits(), canaries.digits()
    wifi, broker = canaries.text(), canaries.text()
    for name, digits in (("code", code), ("wrong entry", wrong), ("refused code", other)):
        secrets.add("code", digits, name)
    secrets.add("wifi password", wifi)
    secrets.add("broker password", broker)
    settings = {"wifi_password": wifi, "mqtt_user": "gateway", "mqtt_password": broker}

    async def story() -> None:
        bench = Bench(tmp_path, gateway_settings=settings)
        bench.site.wifi.password = wifi
        async with bench:
            entry = await bench.adopt()
            secrets.plant_entry(entry)
            await _give_an_ekey(bench, secrets, tmp_path / "guest.json")
            card = random.randrange(1 << 40, 1 << 64)
            secrets.add("card", card)
            await _flows(bench, code, wrong, other, entry, card)
            await _flows_of_the_gateway(bench, secrets, tmp_path / "kept.json")
            assert secrets.missing() == _ELSEWHERE, secrets.missing()
            for message in bench.mqtt.messages:
                if message.topic.rsplit("/", 1)[-1] not in _IN:
                    found.extend(secrets.hits(message.topic, (message.topic + " " + message.text).encode()))
            for board in bench.site.boards:
                printed = board.log_path.read_bytes()
                assert printed
                found.extend(secrets.hits(board.name, printed))
            kept = bench.gateway.image.read_bytes()
            found.extend(secrets.hits("the gateway's flash", kept, _IN_CLEAR))
            found.extend(secrets.hits("the lock's flash", bench.lock.image.read_bytes()))  # its stores are sealed
            row.figure("messages", len(bench.mqtt.messages))

    asyncio.run(story())
    printed = capfd.readouterr()
    found += secrets.hits("host", (printed.out + printed.err).encode())
    for path in tmp_path.rglob("*.log"):
        found += secrets.hits(path.name, path.read_bytes())
    row.tried(secrets.searched)
    row.figure("forms", len(secrets))
    for each in found:
        row.fail(each)


async def _give_an_ekey(bench: Bench, secrets: canaries.Canaries, path) -> None:
    """A person's own unlock key, through the gateway into the lock."""
    entry = bench.book.entries()[0]
    async with owner.connect(bench.site) as gateways:
        way = GatewayEkeys(await gateways.serving(entry.id, bench.gateway.id))
        ekey = await ekeys.send(bench.book, entry, way, ekeys.Ekey(0, "Guest", ekeys.PERMANENT, remote=True), path)
    secrets.add("ekey", int(json.loads(path.read_text())["unlockKey"]))
    assert (await bench.ask("unlock", {"ekey": ekey.uid}))["code"] == "ok"
    await bench.until(lambda: bench.lock.bolt == "locked", "auto-lock")


async def _flows_of_the_gateway(bench: Bench, secrets: canaries.Canaries, path: Path) -> None:
    """What it is told of who commands it, taken or refused: issuers, a PIN, its key towards the broker; and a key book
    with a passphrase."""
    (pinned,) = bench.site.pins()
    pin, phrase = canaries.digits(8), canaries.text()
    der, guest = b"\x30" + random.randbytes(120), random.randbytes(32)
    secrets.add("PIN", pin)
    secrets.add("passphrase", phrase)
    secrets.add("TLS key", der[1:])
    secrets.add("issuer key", pinned.command_key)
    secrets.add("issuer key", guest, "guest's key")
    secrets.add("key of records", pinned.record_key)
    secrets.add("gateway key", _in_nvs(bench, b"x25519"))
    gateway = bench.gateway
    for settings in ({"remote_pin": pin}, {"remote_pin": pin + "x"}, {"wifi_password": [pin]}):
        assert (await gateway.ask({"do": "set", "settings": settings}))["code"] == "config"
    piece = {"do": "put", "name": "key", "at": 0, "hex": der.hex(), "crc": binascii.crc32(der)}
    assert (await gateway.ask(piece))["ok"]
    for digest in (bytes(32), hashlib.sha256(der).digest()):
        told = await gateway.ask({"do": "put", "name": "key", "sha256": digest.hex()})
        assert told["ok"] == any(digest), told
        assert any(digest) or (await gateway.ask(piece))["ok"]
    assert (await gateway.ask({"do": "own", "issuer": guest.hex()}))["code"] == "owned"
    await bench.mqtt.publish(bench.topic("set"), json.dumps({"do": "unlock", "code": pin}))
    await bench.until(lambda: "forbidden" in [told["code"] for told in bench.results(None)], "an answer to the PIN")
    async with owner.connect(bench.site) as gateways:
        for op, args in (("pin_set", {"pin": pin}), ("pin_set", {"pin": pin + "1"})):
            with pytest.raises(HostError):
                await gateways.command(gateway.id, None, op, args)
        for _ in range(2):
            assert (await gateways.command(gateway.id, None, "issuer_add", {"name": "guest", "key": guest.hex()}))["ok"]
        assert (await gateways.command(gateway.id, None, "issuers"))["ok"]
        assert (await gateways.command(gateway.id, None, "issuer_remove", {"name": "guest"}))["ok"]
    book = KeyBook(path, lambda again: phrase)
    book.put(bench.book.entries()[0])
    book.protect(phrase)
    assert KeyBook(path, lambda again: phrase).entries() and phrase not in path.read_text(errors="replace")
    with pytest.raises(HostError):
        KeyBook(path, lambda again: phrase[:-1]).entries()


def _in_nvs(bench: Bench, key: bytes) -> bytes:
    """The newest blob of 32 bytes under a key; NVS has its bytes behind the entry that names it."""
    dump = Path(str(bench.gateway.image) + ".nvs").read_bytes()
    at = dump.rindex(key + bytes(16 - len(key)))
    while dump[at - 7] != 0x42:  # the type of an entry with the bytes of a blob
        at = dump.rindex(key + bytes(16 - len(key)), 0, at)
    return dump[at + 24 : at + 56]


async def _flows(bench: Bench, code: str, wrong: str, other: str, entry: Entry, card: int) -> None:
    """What there is to do with a lock, right and wrong."""
    now = int(time.time())
    arguments = {"code": code, "type": "period", "start": now - 3600, "end": now + 86400}
    assert (await bench.ask("passcode_add", arguments))["code"] == "ok"
    assert (await bench.ask("passcode_add", arguments | {"end": now + 90000}))["code"] == "refused"
    assert (await bench.ask("passcode_add", {"code": other + "x"}))["code"] == "bad_request"
    assert (await bench.ask("passcode_add", {"code": other, "type": other}))["code"] == "bad_request"
    await bench.mqtt.publish(bench.topic("cmd"), '{"id":"cut","op":"passcode_add","args":{"code":"%s"' % other)
    await bench.mqtt.publish(bench.topic("cmd"), json.dumps({"id": "k", "op": "passcode_add", "key": other}))
    await bench.mqtt.publish(bench.topic("set"), other)
    await bench.until(lambda: bench.results("k") and bench.results("cut"), "answers to what is broken")
    listed = (await bench.ask("passcode_list"))["data"]["items"]
    assert [item["code"] for item in listed] == ["*" * len(code)], listed

    await bench.lock.panel({"do": "keys", "digits": wrong + "#"})
    await bench.lock.panel({"do": "keys", "digits": code + "#"})
    await bench.until(lambda: bench.lock.bolt == "unlocked", "opened by the code")
    await bench.until(lambda: bench.lock.bolt == "locked", "auto-lock")
    async with bench.beside(entry) as link:
        await link.exchange(opcodes.CARD, card_client.add(card_client.encode_id(card)))
    await bench.lock.panel({"do": "card", "number": card})
    await bench.until(lambda: bench.lock.bolt == "unlocked", "opened by the card")
    assert (await bench.ask("unlock"))["code"] == "ok"
    for op in ("state", "info", "time_get", "time_sync", "autolock_get", "lock"):
        assert (await bench.ask(op))["code"] == "ok", op
    assert (await bench.gateway.ask({"do": "settings"}))["ok"]
    assert (await bench.gateway.ask({"do": "info"}))["ok"]
    assert (await bench.gateway.ask({"do": "set", "settings": {"wifi_password": 7}}))["code"] == "config"
    assert (await bench.ask("passcode_delete", {"code": code}))["code"] == "ok"
    assert (await bench.ask("records_read"))["code"] == "ok"
    assert (await bench.ask("upload"))["code"] == "ok"
    for part in queries.PARTS:
        assert (await bench.ask("diagnosis", {"part": part}))["code"] == "ok", part
    total = (await bench.lock.panel({"do": "state"}))["records"]
    await bench.until(lambda: len({item["rec"] for item in bench.records()}) >= total, "all records")
    assert {item["method"] for item in bench.records() if item["who"]} >= {"passcode", "card"}
