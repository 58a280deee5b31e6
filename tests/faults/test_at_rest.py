"""What lies on a gateway's flash is what SECURITY.md says; a reset, asked for in each of its ways, leaves nothing of
it, and only then does another owner get the gateway."""

import asyncio
import binascii
import fnmatch
import hashlib
import os
import random
import re
import struct
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from host_tools.boards import provisioning, stage
from host_tools.errors import HostError
from host_tools.owner.keybook import KeyBook
from host_tools.owner.owning import Owning
from host_tools.sim.board import flash_image
from host_tools.sim.site import owner
from host_tools.sim.site.site import HOST
from tests.faults import canaries
from tests.faults.rows import FULL, Row
from tests.system import owner_signs
from tests.system.bench import Bench

_ROW = re.compile(r"^\| (NVS )?(`.*?) \| (.*?) \| (in clear|encrypted).* \|$", re.MULTILINE)
_KINDS = (0x01, 0x14, 0x42, 0x48)  # of NVS entries: namespace or u8, i32, data and index of a blob
_OURS = ("x25519", "dsk", "dsk2", "v.", "boot")  # keys that must be there, or the scan is blind
_FLASH = 1280 << 10  # the firmware takes most of it, so that little has to be written over
_WAYS = ("the button", "the cable")
_CUT_EACH = 61  # changes of flash between two cuts of a reset
_TEARS = ("", "prefix", "bits", "noise")
_BLANK = b"\xff" * 32


def rows() -> list[tuple[bool, list[str], str]]:
    """The table of SECURITY.md: (whether of NVS, patterns, how)."""
    text = (stage.ROOT / "SECURITY.md").read_text()
    found = [(bool(nvs), re.findall("`([^`]+)`", where), how) for nvs, where, _, how in _ROW.findall(text)]
    assert len(found) > 12
    return found


def nvs_keys(dump: bytes) -> set[str]:
    """The name in every entry of a dump, erased ones included."""
    found = set()
    for page in range(0, len(dump), 4096):
        for at in range(page + 64, page + 4096, 32):
            entry = dump[at : at + 32]
            name = entry[8:24].rstrip(b"\0")
            is_whole = binascii.crc32(entry[:4] + entry[8:], 0xFFFFFFFF) == struct.unpack("<I", entry[4:8])[0]
            if entry != _BLANK and entry[1] in _KINDS and entry[0] and is_whole:
                found.add(name.decode())
    return found


def _images(bench: Bench) -> tuple[bytes, bytes]:
    image = bench.gateway.image
    return image.read_bytes(), Path(str(image) + ".nvs").read_bytes()


async def _plant(bench: Bench, secrets: canaries.Canaries) -> dict[str, str]:
    """Everything that a gateway can come to know -> how each is on flash, by the table."""
    entry = await bench.adopt()
    assert (await bench.ask("unlock"))["code"] == "ok"
    await bench.until(lambda: bench.lock.bolt == "locked", "auto-lock")
    assert (await bench.ask("records_read"))["code"] == "ok"
    bench.mqtt.is_recorder = False
    (pin,) = bench.site.pins()
    der, code = b"\x30" + random.randbytes(200), canaries.digits()
    piece = {"do": "put", "name": "key", "at": 0, "hex": der.hex(), "crc": binascii.crc32(der)}
    assert (await bench.gateway.ask(piece))["ok"]
    end = {"do": "put", "name": "key", "sha256": hashlib.sha256(der).hexdigest()}
    assert (await bench.gateway.ask(end))["ok"]
    secrets.add("TLS key", der[1:])
    secrets.add("aes", bytes.fromhex(entry.aes))
    secrets.add("unlock_key", entry.unlock_key)
    secrets.add("admin_ps", entry.admin_ps)
    secrets.add("issuer key", pin.command_key)
    secrets.add("code", code)
    for record in bench.records():
        secrets.plant("record", {str(record["rec"]): bytes.fromhex(record["date"]) + b"\x5a"})
    await bench.lock.kill()
    request = {"id": owner_signs.id_of("kept"), "op": "passcode_add", "args": {"code": code}}
    await bench.send(request)
    await bench.until(lambda: bench.progress("kept"), "the request waits")
    return dict.fromkeys(("aes", "unlock_key", "admin_ps", "issuer key", "code", "record"), "encrypted")


def _judge_table(row: Row, bench: Bench, secrets: canaries.Canaries, kinds: dict[str, str], folder: Path) -> None:
    flash, nvs = _images(bench)
    table = rows()
    flash_image.unpack(bench.gateway.image, folder)
    for path in sorted(path for path in (folder / "data").rglob("*") if path.is_file()):
        name = "/" + str(path.relative_to(folder))
        fitting = [how for is_nvs, patterns, how in table if not is_nvs and _fits(name, patterns)]
        row.check(len(fitting) == 1, "%s is in %d rows of the table" % (name, len(fitting)))
        shown = secrets.hits(name, path.read_bytes())
        row.check(not shown or fitting == ["in clear"], "; ".join(shown[:3]))
    keys = nvs_keys(nvs)
    row.check(all(any(key.startswith(each) for key in keys) for each in _OURS), "the scan of NVS sees %s" % keys)
    for key in keys - {"gatehouse"}:
        row.check(any(is_nvs and _fits(key, patterns) for is_nvs, patterns, _ in table), "NVS %s is in no row" % key)
    shown = " ".join(secrets.hits("flash", flash) + secrets.hits("nvs", nvs))
    for kind, how in kinds.items():
        is_shown = ": %s as" % kind in shown
        seen = "in clear" if is_shown else "not in clear"
        row.check(is_shown == (how == "in clear"), "%s, to be %s, is %s" % (kind, how, seen))


def _fits(name: str, patterns: list[str]) -> bool:
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)


async def _erased(row: Row, bench: Bench, secrets: canaries.Canaries, way: str, seen: int) -> None:
    """Wait until a reset that was asked for has come to its end, and look at every byte."""
    await bench.gateway.wait_line(" W gateway erased", after=seen)
    await bench.gateway.wait_line(" started ", after=seen + 1)
    hello = await _hello(bench)
    row.check(hello["owner"] is False and not hello["provisioned"], "after %s it says %s" % (way, hello))
    await bench.gateway.kill()
    flash, nvs = _images(bench)
    left = secrets.hits("flash after %s" % way, flash) + secrets.hits("nvs after %s" % way, nvs)
    row.check(not left, "; ".join(left[:3]))
    await bench.gateway.start()


async def _cut_resets(row: Row, bench: Bench, secrets: canaries.Canaries) -> None:
    """Resets by the owner's signature, the power cut at a change of flash of the whole start that follows: at one, or
    from the first to the last in steps. The last one is not cut any more."""
    draw = random.Random(row.seed)
    flash, nvs = _images(bench) if FULL else (b"", b"")
    at = draw.randrange(_CUT_EACH)
    cuts, was_cut = 0, True
    while was_cut:
        seen = len(bench.gateway.lines)
        bench.gateway.cut_power_at_start(at, draw.choice(_TEARS), draw.randrange(1 << 30))
        await _signed_reset(bench)
        off = asyncio.create_task(bench.gateway.wait_off())
        whole = asyncio.create_task(bench.gateway.wait_line(" W gateway erased", after=seen))
        await asyncio.wait([off, whole], return_when=asyncio.FIRST_COMPLETED)
        was_cut = off.done()
        for task in (off, whole):
            task.cancel()
        if was_cut:
            cuts += 1
            await bench.gateway.start()
        await _erased(row, bench, secrets, "a signed reset, cut at change %d" % at, seen)
        at += _CUT_EACH
        if not FULL:
            break
        if was_cut:
            await bench.gateway.kill()
            bench.gateway.image.write_bytes(flash)
            Path(str(bench.gateway.image) + ".nvs").write_bytes(nvs)
            await bench.gateway.start()
            await bench.until_answers()
            bench.signs.end(bench.gateway)
    row.figure("resets_cut", cuts)


async def _hello(bench: Bench) -> dict:
    reply = await bench.site._asked(bench.gateway, {"do": "hello"})
    while reply.get("rebooting"):
        reply = await bench.site._asked(bench.gateway, {"do": "hello"})
    return reply


async def _each_secret_that_goes_is_swept(row: Row, bench: Bench) -> None:
    """Whatever is deleted or replaced over MQTT or the cable begins a sweep, as SECURITY.md promises; what is new does
    not."""
    gateway = bench.gateway
    (entry,) = bench.book.entries()
    async with owner.connect(bench.site) as gateways:

        def issuer(op: str, key: str = "") -> Callable[[], Awaitable[dict]]:
            args = {"name": "guest", **({"key": key * 32} if key else {})}
            return lambda: gateways.command(gateway.id, None, op, args)

        def piece(text: str) -> Callable[[], Awaitable[dict]]:
            crc = binascii.crc32(bytes.fromhex(text))
            return lambda: gateway.ask({"do": "put", "name": "key", "at": 0, "hex": text, "crc": crc})

        acts: list[tuple[str, bool, Callable[[], Awaitable[dict]]]] = [
            ("a new issuer", False, issuer("issuer_add", "a1")),
            ("another key for an issuer", True, issuer("issuer_add", "b2")),
            ("an issuer removed", True, issuer("issuer_remove")),
            ("a private key begun", False, piece("3001")),
            ("a private key begun anew", True, piece("3002")),
            ("settings", True, lambda: gateway.ask({"do": "set", "settings": {"name": "Hall"}})),
            ("a lock forgotten", True, lambda: gateways.forget(gateway.id, entry)),
        ]
        for name, begins, act in acts:
            seen = len(gateway.lines)
            row.check((await act())["ok"], name)
            await bench.until_answers()
            told = any("sweeping" in line for line in list(gateway.lines)[seen:])
            row.check(told == begins, "%s: a sweep %s" % (name, "begins" if told else "does not begin"))


@pytest.mark.row("T-ERA-1b", "whole gateway: the table of SECURITY.md against its flash; resets; who may own it")
def test_flash_holds_what_the_table_says_and_nothing_after_a_reset(row: Row, tmp_path) -> None:
    random.seed(row.seed)
    secrets = canaries.Canaries()
    wifi, broker = canaries.text(), canaries.text()
    secrets.add("wifi password", wifi)
    secrets.add("broker password", broker)
    settings = {"wifi_password": wifi, "mqtt_user": "gateway", "mqtt_password": broker}

    async def story() -> None:
        bench = Bench(tmp_path, gateway_settings=settings, seed=row.seed, gateway_flash_size=_FLASH)
        bench.site.wifi.password = wifi
        async with bench:
            kinds = await _plant(bench, secrets)
            kinds |= dict.fromkeys(("wifi password", "broker password", "TLS key"), "in clear")
            await bench.gateway.kill()
            _judge_table(row, bench, secrets, kinds, tmp_path / "files")
            await bench.gateway.start()
            await bench.until_answers()
            others = [KeyBook(tmp_path / ("other%d.json" % number)) for number in range(2)]
            refused = await _own(bench, others[0])
            row.check(refused == "owned", "an owned gateway says %s to another owner" % refused)

            await _each_secret_that_goes_is_swept(row, bench)
            await _cut_resets(row, bench, secrets)
            for number, way in enumerate(_WAYS if FULL else _WAYS[-1:]):
                owned = await _own(bench, others[number])
                row.check(owned == "ok", "after a reset it says %s" % owned)
                key = others[number].gateway(bench.gateway.id).command_key
                secrets.add("issuer key", key, "owner %d" % number)
                late = await _own(bench, others[1 - number])
                row.check(late == "owned", "and to the next owner %s" % late)
                given = bench.gateway.spec.settings | {"name": "of owner %d" % number}
                assert (await bench.gateway.ask({"do": "set", "settings": given}))["ok"]
                seen = len(bench.gateway.lines)
                if way == "the button":
                    await bench.gateway.panel({"do": "reset_button", "s": 11})
                else:
                    ident = await asyncio.to_thread(provisioning.reset, bench.gateway.console)
                    row.check(ident == bench.gateway.id, "it calls itself %s" % ident)
                await _erased(row, bench, secrets, way, seen)

    asyncio.run(story())
    row.figure("forms", len(secrets))


async def _own(bench: Bench, book: KeyBook) -> str:
    """The code with which the gateway lets the owner of a key book own it."""
    owning = Owning(book, bench.gateway.id, broker="%s:%d" % (HOST, bench.site.mqtt_port), simulated=True)
    reply = await bench.site._asked(bench.gateway, owning.request())
    try:
        owning.settle(reply)
    except HostError as error:
        return error.code
    return "ok"


async def _signed_reset(bench: Bench) -> None:
    request = {"id": os.urandom(16).hex(), "op": "reset"}
    signed = await bench.signs.sign(bench.gateway, None, request, False)
    topic = "gatehouse/%s/" % bench.gateway.id
    await bench.mqtt.publish(topic + "cmd", signed)
    told = await bench.mqtt.wait(lambda m: m.topic == topic + "rsp" and m.value["id"] == request["id"])
    assert told.value["code"] == "ok" and bench.is_proven(told), told.text


@pytest.mark.row("OWNER-0", "a gateway of before there were owners: takes no keys, and asks to be provisioned again")
def test_a_gateway_without_an_owner_asks_to_be_provisioned_again(row: Row, tmp_path) -> None:
    async def story() -> None:
        async with Bench(tmp_path, seed=row.seed, owned=False) as bench:
            line = await bench.gateway.wait_line("no_owner")
            row.check("gatehouse provision" in line, line)
            row.check((await _hello(bench))["owner"] is False, "hello does not tell")
            await bench.until_answers()
            told = bench.mqtt.heard(lambda m: m.topic.endswith("/info") and m.topic.count("/") == 2)
            row.check(told and told[-1].value["owner"] is False, "info does not tell")
            for op in ("import", "forget", "reset", "issuers"):
                ident = os.urandom(16).hex()
                request = {"id": ident, "op": op, "args": {}}
                base = "gatehouse/%s/" % bench.gateway.id
                await bench.mqtt.publish(base + "cmd", request)
                answer = await bench.mqtt.wait(
                    lambda m, base=base, ident=ident: m.topic == base + "rsp" and m.value["id"] == ident
                )
                is_told = answer.value["code"] == "forbidden" and "provision" in answer.value.get("msg", "")
                row.check(is_told, "%s: %s" % (op, answer.text))
            row.check(await _own(bench, KeyBook(tmp_path / "mine.json")) == "ok", "it takes no owner")
            row.check((await _hello(bench))["owner"] is True, "it does not say whose it is")

    asyncio.run(story())
