"""Canaries: what is secret goes in and never comes out, neither over MQTT nor in what a board prints."""

import asyncio
import time

from tests.system.bench import Bench

CODE = "907351"  # a passcode that no address, time or number of the site contains by chance
WRONG = "918264"


def _forms(entry) -> dict[str, str]:
    """Every way in which a secret could be written, lower-case, by what it is."""
    found = {"code": CODE, "wrong entry": WRONG, "aes": entry.aes, "aes with colons": ":".join(_pairs(entry.aes))}
    found["aes as bytes"] = repr(bytes.fromhex(entry.aes))[2:-1].lower()
    found["aes as numbers"] = ", ".join(str(octet) for octet in bytes.fromhex(entry.aes))
    for name in ("admin_ps", "unlock_key"):
        value = getattr(entry, name)
        found[name] = str(value)
        found[name + " in hex"] = "%08x" % value
        found[name + " in hex, swapped"] = value.to_bytes(4, "little").hex()
        found[name + " as numbers"] = ", ".join(str(octet) for octet in value.to_bytes(4, "big"))
    if entry.admin_passcode:
        found["admin passcode"] = entry.admin_passcode
    return found


def _pairs(digits: str) -> list[str]:
    return [digits[at : at + 2] for at in range(0, len(digits), 2)]


def test_no_code_and_no_key_leaves_by_mqtt_or_by_a_log(tmp_path):
    async def story():
        async with Bench(tmp_path) as bench:
            entry = await bench.adopt()
            now = int(time.time())
            arguments = {"code": CODE, "type": "period", "start": now - 3600, "end": now + 86400}
            assert (await bench.ask("passcode_add", arguments))["code"] == "ok"
            assert (await bench.ask("passcode_add", arguments | {"end": now + 90000}))["code"] == "refused"
            assert (await bench.ask("passcode_add", {"code": CODE + "x"}))["code"] == "bad_request"
            listed = (await bench.ask("passcode_list"))["data"]["items"]
            assert [item["code"] for item in listed] == ["*" * len(CODE)], listed

            await bench.lock.panel({"do": "keys", "digits": WRONG + "#"})
            await bench.lock.panel({"do": "keys", "digits": CODE + "#"})
            await bench.until(lambda: bench.lock.bolt == "unlocked", "opened by the code")
            await bench.until(lambda: bench.lock.bolt == "locked", "auto-lock")
            assert (await bench.ask("unlock"))["code"] == "ok"
            assert (await bench.ask("passcode_delete", {"code": CODE}))["code"] == "ok"
            assert (await bench.ask("records_read"))["code"] == "ok"
            total = (await bench.lock.panel({"do": "state"}))["records"]
            await bench.until(lambda: len({item["rec"] for item in bench.records()}) >= total, "all records", 60)
            assert {item["method"] for item in bench.records()} >= {"passcode"}

            secrets = _forms(entry)
            inbound = ("cmd", "set")
            for message in bench.mqtt.messages:
                if message.topic.rsplit("/", 1)[-1] in inbound:
                    continue
                text = (message.topic + " " + message.text).lower()
                assert not [what for what, form in secrets.items() if form in text], message.topic
            for board in bench.site.boards:
                printed = board.log_path.read_bytes().decode("utf-8", "replace").lower()
                assert printed
                assert not [what for what, form in secrets.items() if form in printed], board.name
            flash = bench.gateway.image.read_bytes().lower()  # the keys are in there, sealed
            assert CODE.encode() not in flash and WRONG.encode() not in flash

    asyncio.run(story())
