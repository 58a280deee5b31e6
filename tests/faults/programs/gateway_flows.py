"""Every flow of the gateway that stores something, each from an image in which there is something to lose."""

import asyncio

from firmware.gateway import provisioning
from firmware.gateway.gateway_ops import ImportJob
from firmware.gateway.requests import Request
from firmware.lib import commands, dates, marks, records
from firmware.lib.messages.pairing_client import init_passwords
from firmware.net.clock import Clock
from firmware.system import config
from firmware.system.supervisor import Lease
from firmware.system.timing import ticks_ms
from tests.faults.programs.cuts import Flow, board
from tests.faults.programs.gateway_world import SETTINGS, GatewayWorld
from tests.faults.programs.job_world import JobWorld
from tests.unit.gateway_rig import ADDRESS, known_lock, quiet_log

_UNIX_2000 = 946684800
_NOW = 1790000000
_OWNER = {"wifi_ssid": "home", "mqtt_host": "broker", "insecure_broker": True}
_SEEDS = init_passwords(2026, [(n, n + 7) for n in range(10)])
_OTHER = b"\x01\x02\x03\x04\x05\x06"


def _record(number):
    return records.encode(4, dates.from_seconds(1780000000 - _UNIX_2000), 90, records.by_code(b"%06d" % number))


def _import(address, aes):
    def run(world):
        lock = known_lock(address)
        lock.aes = aes
        request = Request(commands.Command("import-1", "import", {}), None, ticks_ms(), world.answers, bytes(8))
        request.begin()
        job = ImportJob(lock, 0, request, world.gateway_ops.end_import)
        job.attempts = 1
        job.finish(None, None)
        world.deliver()
        world.ack()

    return "import", run


def _forget(world):
    world.gateway_ops.forget({"mac": ADDRESS.hex()})
    world.ack()


def _command(op, args=None):
    """A command with an id. Sent again after a reset it gets the stored result, or that the outcome is unknown; only
    one that had not begun is carried out."""

    def run(world):
        before = world.far.moved
        code = world.ask(op, "id-" + op, args)
        allowed = ("ok", "outcome_unknown") if world.is_again else ("ok",)
        assert code in allowed, code
        if world.is_again and before and op in ("unlock", "lock"):
            assert world.far.moved == before, "moved again"
            assert code == "outcome_unknown" or ("id-" + op, "ok") in world.told[:-1], "false " + code
        world.ack()

    return op, run


def _durable(op, digits):
    """A durable request with an id: however often the power goes and it is sent again, it is done, once."""
    id = "id-%s-%s" % (op, digits)

    def run(world):
        code = world.ask(op, id, {"code": digits})
        assert code == "ok", code
        assert (digits in world.far.codes) == (op == "passcode_add"), world.far.codes
        world.ack()

    return op, run


def _kept(request, is_done):
    """Two steps: the request comes while the lock is away; the lock comes near, and what was asked is done."""

    def keep(world):
        world.leave()
        world.keep(request)
        world.ack()

    def near(world):
        world.come()
        code = world.answer(request)
        assert code == "ok" and is_done(world.far), code
        world.ack()

    return [(request["op"] + " kept", keep), (request["op"] + " done", near)]


def _while_away():
    """Steps of a code that is changed, all codes cleared, and other seeds given, each while the lock is away."""
    change = {"id": "id-change", "op": "passcode_change", "args": {"code": "314159", "new_code": "161803"}}
    reset = GatewayWorld.sealed("id-reset", "passcode_reset", {"seeds": _SEEDS.hex()})
    return (
        [_durable("passcode_add", "314159")]
        + _kept(change, lambda far: far.codes == ["161803"])
        + _kept({"id": "id-clear", "op": "passcode_clear", "args": {}}, lambda far: far.codes == [])
        + [_durable("passcode_add", "271828")]
        + _kept(reset, lambda far: (far.seeds, far.codes) == (_SEEDS, []))
    )


def _again(op):
    """The same id once more: the same answer, and no movement."""

    def run(world):
        moved = world.far.moved
        count = len([each for each in world.told if each[0] == "id-" + op])
        code = world.ask(op, "id-" + op)
        told = [each[1] for each in world.told if each[0] == "id-" + op]
        assert count == 0 or code == told[-2], told
        assert world.far.moved == moved or count == 0, "moved again"
        world.ack()

    return op + " again", run


def _read(world):
    asyncio.run(world.records.read(world.session(), lambda: False))
    world.ack()


def _upload(world):
    async def work():
        while await world.uploads.offer(world.lock):
            pass

    asyncio.run(work())
    world.ack()


def _settings(changes):
    def run(world):
        config.write(SETTINGS, provisioning.table(), changes)
        world.ack()

    return "settings", run


def _own_key(world):
    provisioning.own_key(board)
    world.ack()


class _Board:
    """The board's clock and key store; the host's clock is left alone."""

    nvs_get = staticmethod(board.nvs_get)
    nvs_set = staticmethod(board.nvs_set)
    unix_now = staticmethod(board.unix_now)

    def set_rtc(self, unix_s):
        pass


class _Hurried(Lease):
    """No pause takes any time."""

    def sleep_ms(self, pause_ms):
        return asyncio.sleep_ms(0)


class _Agreed(Clock):
    """The network's time, always the same; waiting for it costs no time."""

    async def _ask(self, host, port):
        return 1000 * _NOW


def _time(world):
    async def until_trusted(clock):
        task = asyncio.create_task(clock.run(_Hurried()))
        while not clock.trusted:
            await asyncio.sleep_ms(0)
        await asyncio.sleep_ms(0)
        task.cancel()

    asyncio.run(until_trusted(_Agreed(_Board(), ["one", "two"], quiet_log())))
    world.ack()


def _image(chip, count, is_sent):
    """A gateway that serves a lock, knows some ids, and has read `count` records."""
    chip.format()
    world = GatewayWorld(chip)
    world.start()
    world.registry.add(known_lock())
    board.nvs_set("gatehouse", "last_time", (_NOW - 3600).to_bytes(8, "big"))
    config.write(SETTINGS, provisioning.table(), _OWNER)
    for number in range(40):
        world.ids.done("old-%d" % number, bytes(8), b'{"code":"ok"}')
    world.start()
    world.far.records = [_record(number) for number in range(count)]
    _read(world)
    if is_sent:
        _upload(world)
    return chip.image(), list(world.broker.sent)


def reading_image(chip):
    """(image, what the broker has) of a gateway that has read records."""
    return _image(chip, 55, False)


def flows(chip):
    """All of them."""
    chip.format()
    blank = chip.image()
    owned, _ = _image(chip, 0, False)
    reading, sent = _image(chip, 55, True)

    def with_records(chip):
        world = GatewayWorld(chip)
        world.far.records = [_record(number) for number in range(85)]
        world.broker.sent = list(sent)
        return world

    def without_records(chip):
        world = GatewayWorld(chip)
        world.counts_records = False
        return world

    def flow(name, expect, *steps):
        return Flow(name, owned, GatewayWorld, steps, expect)

    def changes(name):
        return lambda states: states[-1][name] != states[0][name]

    def answered(states):
        return len(states) == 3  # the steps judge the answers

    return [
        Flow(
            "first start",
            blank,
            without_records,
            [("key", _own_key), _settings(_OWNER)],
            lambda states: states[0]["settings"] is None and states[2]["settings"]["mqtt_host"] == "broker",
        ),
        flow("import", lambda states: len(states[1]["locks"]) == 2, _import(_OTHER, bytes(16))),
        Flow(
            "import anew",
            reading,
            without_records,
            [_import(ADDRESS, b"another key     ")],
            lambda states: changes("locks")(states) and states[1]["records"][:2] == (marks.era(b"another key     "), 0),
        ),
        Flow("forget", reading, without_records, [("forget", _forget)], lambda states: states[1]["locks"] == []),
        flow("unlock", answered, _command("unlock"), _again("unlock")),
        flow("lock", answered, _command("lock"), _again("lock")),
        flow("time_sync", changes("locks"), _command("time_sync"), _again("time_sync")),
        Flow(
            "durable",
            owned,
            JobWorld,
            [
                _durable("passcode_add", "314159"),
                _durable("passcode_add", "271828"),
                _durable("passcode_delete", "314159"),
            ],
            lambda states: (
                [(each["codes"], each["waiting"]) for each in states]
                == [([], []), (["314159"], []), (["314159", "271828"], []), (["271828"], [])]
            ),
        ),
        Flow(
            "durable, lock away",
            owned,
            JobWorld,
            _while_away(),
            lambda states: (
                [len(each["waiting"]) for each in states] == [0, 0, 1, 0, 1, 0, 0, 1, 0]
                and states[-2]["codes"] == ["271828"]
                and (states[-1]["seeds"], states[-1]["codes"]) == (_SEEDS, [])
            ),
        ),
        Flow(
            "records",
            reading,
            with_records,
            [("read", _read), ("upload", _upload)],
            lambda states: [len(each["records"][3]) for each in states] == [0, 30, 0],
        ),
        flow(
            "settings",
            lambda states: [each["settings"]["mqtt_port"] for each in states] == [1883, 1883, 1884],
            _settings({"name": "hall"}),
            _settings({"name": None, "mqtt_port": 1884}),
        ),
        flow("time", lambda states: _NOW <= states[1]["floor"] <= _NOW + 60, ("time", _time)),
        flow("start", lambda states: states[0]["settings"], ("nothing", lambda world: world.ack())),
    ]
