"""R-09, T-REM-4, T-MEM-2, R-11, R-12: what comes from the broker, in full against parser and bridge under MicroPython,
and a few hundred over a real broker to a real gateway board."""

import ast
import asyncio
import random
import secrets
from pathlib import Path

import pytest

from firmware.lib.messages import session_client, settings_client
from tests.faults.programs import mqtt_kinds
from tests.faults.rows import Row, run_program
from tests.micropython import ROOT
from tests.system.bench import Bench, Observer
from tests.system.owner_signs import id_of

_HEAP = "2M"  # 64-bit objects, test rig and sources included; see the heap guard for what a board needs
_QUERY = "opcodes.REMOTE_UNLOCK, session_client.remote_unlock_query()"
_ASKING = ("ask", "ask_as_admin", "change", "enrol", "exchange")
_BY_GATEWAY = ("gateway", "ble", "net", "system")


@pytest.mark.row("R-09", "malformed MQTT messages through parser and bridge")
def test_no_broken_message_raises_or_moves(row: Row) -> None:
    row.take(run_program("mqtt_messages", row.seed, row.count(4000, 100000), "broken", heapsize=_HEAP))


@pytest.mark.row("T-REM-4", "random MQTT messages, operations among them, to the switch")
def test_no_message_changes_the_remote_unlock_switch(row: Row) -> None:
    row.take(run_program("mqtt_messages", row.seed, row.count(4000, 100000), "any", heapsize=_HEAP))


@pytest.mark.row("T-MEM-2", "declared MQTT lengths up to the maximum")
def test_declared_lengths_are_refused_before_anything_is_allocated(row: Row) -> None:
    row.take(run_program("mqtt_lengths", row.seed, row.count(4000, 100000), heapsize="256K"))


@pytest.mark.row("R-11", "unlocks delivered twice, late, reordered, changed, after a reset")
def test_each_id_moves_the_bolt_once(row: Row) -> None:
    row.take(run_program("mqtt_repeats", row.seed, row.count(60, 3000), heapsize="32M"))


def test_gateway_has_no_encoder_for_the_switch() -> None:
    """T-REM-4, the source: each request's opcode is a name of `opcodes`, and the switch's goes with the query alone."""
    asked = 0
    for package in _BY_GATEWAY:
        for path in sorted((ROOT / "firmware" / package).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text())):
                assert not (isinstance(node, ast.Constant) and node.value == 0x37), path
                if isinstance(node, ast.Call) and getattr(node.func, "attr", "") in _ASKING and node.args:
                    asked += _check_request(path, node)
            text = path.read_text()
            compared = "command == opcodes.REMOTE_UNLOCK"  # which may be asked early, and is not made there
            assert text.count("REMOTE_UNLOCK") == text.count(_QUERY) + text.count(compared)
    assert asked >= 30
    assert session_client.remote_unlock_query() == b"\x01"
    names = {name for client in (session_client, settings_client) for name in vars(client) if "remote_unlock" in name}
    assert names == {"remote_unlock", "remote_unlock_query"}  # the query, and the decoder of its answer


def _check_request(path: Path, call: ast.Call) -> int:
    """1: the opcode stands in the call, as a name of `opcodes`. 0: it was handed in, and is one where it comes from."""
    opcode = call.args[0]
    for each in (opcode.body, opcode.orelse) if isinstance(opcode, ast.IfExp) else (opcode,):
        if not (isinstance(each, ast.Attribute) and getattr(each.value, "id", "") == "opcodes"):
            assert not isinstance(each, (ast.Constant, ast.BinOp)), "%s: %s" % (path, ast.unparse(call))
            return 0
    return 1


async def _switch_of(bench: Bench, entry) -> bool:
    async with bench.beside(entry) as link:
        return session_client.remote_unlock(await link.exchange(0x37, session_client.remote_unlock_query()))[1]


def _oversize(bench: Bench) -> list[tuple[str, bytes]]:
    return [
        (bench.topic("cmd"), b'{"id":"big","op":"unlock","args":{"a":"%s"}}' % (b"x" * size))
        for size in (1024, 70000, (1 << 20) - 4096)
    ]


@pytest.mark.row("R-09", "malformed messages over a real broker to a gateway board")
def test_broken_messages_over_a_broker_leave_the_gateway_at_work(row: Row, another_row, tmp_path) -> None:
    switch = another_row("T-REM-4", "the lock's switch after them")
    random.seed(row.seed)

    async def story() -> None:
        async with Bench(tmp_path) as bench:
            entry = await bench.adopt(remote_unlock=False)
            lines = len(bench.gateway.lines)
            for number in range(row.count(20, 300)):
                await _send_one(bench, row, number)
            for topic, payload in _oversize(bench)[: row.count(1, 3)]:
                await bench.mqtt.publish(topic, payload)
                await bench.gateway.wait_line("mqtt skipped", after=lines)
                lines = len(bench.gateway.lines)
                row.tried()
            assert (await bench.ask("state"))["code"] == "ok"
            row.check(
                not any("mqtt disconnected" in line for line in bench.gateway.lines), "a message took the link down"
            )
            row.check(not bench.lock.movements, "the bolt moved: %s" % bench.lock.movements)
            row.check(bench.gateway.starts == 1 and not bench.gateway.crashes, "the gateway was reset")
            for line in bench.gateway.lines:
                row.check("Traceback" not in line, line)
            row.figure("answers", len([m for m in bench.mqtt.messages if m.topic.endswith("/rsp")]))
            switch.check(not await _switch_of(bench, entry), "the switch is on")

    asyncio.run(story())


async def _send_one(bench: Bench, row: Row, number: int) -> None:
    """One message, and where a gateway must answer, the wait for its answer."""
    kinds = [kind for kind in mqtt_kinds.KINDS if kind is not mqtt_kinds.mutated]
    payload = b""
    while not 0 < len(payload) <= 1024:
        payload = mqtt_kinds.some(kinds)()
    topic = bench.topic("cmd")
    if number % 4 == 3:
        topic, payload = bench.topic("set"), mqtt_kinds.some(mqtt_kinds.WORDS)
    seen = len(bench.mqtt.messages)
    await bench.mqtt.publish(topic, payload)
    try:
        reply = await bench.mqtt.wait(lambda m: m.topic == bench.topic("rsp"), after=seen)
    except AssertionError:
        row.check(False, "%r was not answered" % payload[:60])
        return
    row.check(reply.value["code"] in ("bad_request", "conflict"), "%r: %s" % (payload[:60], reply.text))


@pytest.mark.row("R-12", "retained commands, and commands published while the gateway was away")
def test_retained_and_queued_commands_are_never_executed(row: Row, tmp_path) -> None:
    async def story() -> None:
        async with Bench(tmp_path, gateway_settings={"keepalive_s": 4, "unsigned_unlock": True}) as bench:
            await bench.adopt()
            retained = [
                (bench.topic("set"), b"UNLOCK"),
                (bench.topic("cmd"), b'{"id":"kept","op":"unlock"}'),
            ]
            for topic, payload in retained:
                await bench.mqtt.publish(topic, payload, retain=True)  # who is there hears it live, not as retained
            await bench.until(lambda: bench.results("kept"), "an answer to the live message")
            await bench.until(lambda: len(bench.lock.movements) >= 2 and bench.lock.bolt == "locked", "its end")
            moved = len(bench.lock.movements)
            away = set()
            for turn in range(row.count(1, 8)):
                assert (await bench.ask("state"))["code"] == "ok"  # the owner has a session, which ends now
                seen = len(bench.mqtt.messages)
                await _away(bench, turn)
                for number in range(row.count(6, 20)):
                    away.add(id_of("away-%d-%d" % (turn, number)))
                    await bench.send({"id": "away-%d-%d" % (turn, number), "op": "unlock"})
                    row.tried()
                await _back(bench, turn)
                for topic, _ in retained:
                    leaf = topic.rsplit("/", 1)[1]
                    told = await bench.mqtt.wait(
                        lambda m, leaf=leaf: m.topic == bench.topic("rsp") and m.value["code"] == "retained"
                        and (m.value["id"] == "kept") == (leaf == "cmd"), after=seen)  # fmt: skip
                    row.check(told, topic)
                alarm = await bench.mqtt.wait(
                    lambda m: m.topic == bench.topic("event") and "alarm" in m.text, after=seen
                )
                row.check(alarm.value["method"] == "retained_command", alarm.text)
            assert (await bench.ask("state"))["code"] == "ok"
            stale = [m for m in bench.mqtt.messages if m.topic == bench.topic("rsp") and m.value["id"] in away]
            row.check(not stale, "answered: %s" % [m.text for m in stale[:3]])
            row.check(len(bench.lock.movements) == moved, "moved: %s" % bench.lock.movements[moved:])
            kept = {m.topic.split("/", 2)[2].rsplit("/", 1)[-1] for m in await _retained(bench)}
            row.check(kept <= {"status", "info", "availability", "state", "set", "cmd"}, "retained: %s" % kept)

    asyncio.run(story())


async def _away(bench: Bench, turn: int) -> None:
    """The gateway loses its Wi-Fi, or its power."""

    def is_offline(message) -> bool:
        return message.topic.endswith("/status") and message.text == "offline"

    seen = len(bench.mqtt.messages)
    if turn % 2:
        bench.site.switch_wifi(False)
    else:
        await bench.gateway.kill()
    await bench.mqtt.wait(is_offline, after=seen)


async def _back(bench: Bench, turn: int) -> None:
    if turn % 2:
        bench.site.switch_wifi(True)
    else:
        await bench.gateway.start()


async def _retained(bench: Bench):
    """What the broker holds for a newcomer."""
    newcomer = Observer(bench.site.mqtt_host, bench.site.mqtt_port)
    try:
        await bench.until(lambda: newcomer.messages, "retained messages")
        mark = secrets.token_hex(6)
        await newcomer.publish("gatehouse/test/" + mark, "")  # retained messages come first
        await newcomer.wait(lambda message: message.topic.endswith(mark))
        return [message for message in newcomer.messages if message.retained]
    finally:
        await newcomer.close()
