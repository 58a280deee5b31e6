"""A gateway with our own lock at the other end of a link that breaks at the change of the test's choice: for the tests
of what is said of a change whose answer nobody got.
"""

import asyncio
import os

from firmware.lib import crypto, frame, opcodes
from firmware.lib.errors import LinkError, from_ble
from firmware.lib.frame import Reassembler
from firmware.lib.messages import common
from firmware.lib.messages.pairing_client import init_passwords
from firmware.system import store
from firmware.system.timing import ticks_ms
from tests.scratch import scratch
from tests.unit import lock_rig
from tests.unit.gateway_rig import run
from tests.unit.job_rig import JobRig

CODE = "864201"
CARD, NEW_CARD = b"\0\0\0\x07", b"\0\0\0\x09"
FINGER, NEW_FINGER = b"\0\0\0\0\0\0\0\x07", b"\0\0\0\0\0\0\0\x08"
FINGER_NUMBER = 0x10000
MAC = "aabbcc112233"
UID = 0x4B000000
_ALWAYS = b"\x00\x01\x01\x00\x00\x63\x01\x01\x00\x00"
WINDOW = {"weekdays": [3], "from_min": 480, "to_min": 600}
_UNIX_S = lock_rig.START_S + 946684800

_END_S = 1800000000
_PERIOD = {"end": _END_S, "days": [1, 3], "from_min": 480, "to_min": 600}
# Arguments of every operation that changes something, so that it has all of its steps
CHANGES = {
    "unlock": {},
    "lock": {},
    "emergency_unlock": {},
    "time_sync": {},
    "zone_set": {"utc_offset_min": 60},
    "name_set": {"name": "Door"},
    "passcode_add": {"code": "975310"},
    "passcode_change": {"code": CODE, "new_code": "975310"},
    "passcode_delete": {"code": CODE},
    "passcode_clear": {},
    "passcode_reset": {"seeds": init_passwords(2026, [(n, n + 7) for n in range(10)]).hex()},
    "card_add": dict(_PERIOD, number=8),
    "card_enrol": _PERIOD,
    "card_change": dict(_PERIOD, number=7),
    "card_delete": {"number": 7},
    "card_clear": {},
    "card_lost": {"number": 7},
    "fingerprint_enrol": _PERIOD,
    "fingerprint_change": dict(_PERIOD, number=FINGER_NUMBER),
    "fingerprint_delete": {"number": FINGER_NUMBER},
    "fingerprint_clear": {},
    "fob_change": dict(_PERIOD, mac=MAC),
    "fob_delete": {"mac": MAC},
    "fob_clear": {},
    "ekey_add": {"uid": UID + 1, "unlock_key": 77},
    "ekey_change": {"uid": UID, "remote": True},
    "ekey_freeze": {"uid": UID},
    "ekey_unfreeze": {"uid": UID},
    "ekey_delete": {"uid": UID},
    "ekey_reset": {},
    "autolock_set": {"seconds": 30},
    "setting_set": {"name": "sound", "value": False},
    "passage_add": {"weekdays": [1, 2], "from_min": 480, "to_min": 600},
    "passage_delete": WINDOW,
    "passage_clear": {},
    "freeze": {},
    "unfreeze": {},
}

SEALED = ("ekey_add", "passcode_reset")

# What asks: by its command, or by its first byte; every other frame is taken for a change
_ASKS = (
    opcodes.FEATURES,
    opcodes.PASSCODE_COUNT,
    opcodes.PASSCODE_LIST,
    opcodes.STATUS,
    opcodes.LOG,
    opcodes.CHECK_RANDOM,
    opcodes.GET_CLOCK,
    opcodes.CHECK_ADMIN,
    opcodes.CHECK_USER,
    opcodes.DEVICE_INFO,
    opcodes.DIAGNOSIS,
)
_ASKS_BY_FIRST = {opcodes.CARD: (1, 0x22), opcodes.FINGERPRINT: (6,), opcodes.KEY_FOB: (6,), opcodes.EKEY: (1, 6)}
_ASK_WITH_1 = (
    opcodes.AUTO_LOCK,
    opcodes.REMOTE_UNLOCK,
    opcodes.PASSCODE_DISPLAY,
    opcodes.FREEZE,
    opcodes.SOUND,
    opcodes.PASSAGE,
    opcodes.LAMP,
    opcodes.SWITCHES,
    opcodes.CYCLIC,
    opcodes.UNLOCK_DIRECTION,
    opcodes.SETTING,
)


def _is_question(command, plain):
    if command in _ASKS:
        return True
    return plain[0] in _ASKS_BY_FIRST.get(command, (1,) if command in _ASK_WITH_1 else ())


class FarLock:
    """A paired lock in which there is something of each kind. `cut_at` counts changes from 1; `how` the link breaks at
    it: "before" the frame leaves, "lost" is its answer, "memory" is short then, "hang": nothing comes."""

    pin = 2
    _made = None

    def __init__(self):
        folder = scratch("gateway-changes")
        if FarLock._made is None:
            FarLock._made = _make(folder)
        files, values = FarLock._made
        self._lock = rig = lock_rig.Rig(folder)
        for name in files:
            store.make_folder(folder + "/" + name[: name.rfind("/") + 1])
            with open(folder + "/" + name, "wb") as file:
                file.write(files[name])
        rig.nvs.values = dict(values)
        rig.start(False)
        self.key = rig.key
        self._last = None
        self.changes = 0
        self.cut_at = 0
        self.how = None
        self.is_cut = False

    def subscribe(self, callback):
        if self.is_cut:
            raise LinkError("could not connect")
        self._lock.disconnect()
        self._lock.connect()

    def is_connected(self):
        return not self.is_cut

    async def listen(self, timeout_ms):
        pass

    async def exchange(self, command, plain=b"", timeout_ms=6000):
        if self.is_cut:
            raise LinkError("link lost")
        if _is_question(command, plain):
            return self._ask(command, plain)
        self.changes += 1
        if self.changes != self.cut_at:
            return self._ask(command, plain)
        self.is_cut = True
        err = LinkError("link lost")
        if self.how == "before":
            raise err
        self._ask(command, plain)
        if self.how == "memory":
            raise MemoryError
        if self.how == "hang":
            await asyncio.sleep(3600)
        err.sent = True
        raise err

    async def follow(self, command, timeout_ms):
        if self.is_cut:
            raise LinkError("link lost")
        rig = self._lock
        word, key = ("card", NEW_CARD) if command == opcodes.CARD else ("finger", NEW_FINGER)
        rig.lock.reader.present(word, key, rig.now_ms)
        for raw in rig.wait(1500):
            parts = Reassembler()
            whole = [each for part in frame.chunks(raw, shaped=True) for each in parts.feed(bytes(part))]
            echo, _, data = common.reply(crypto.decrypt(rig.key, frame.decode(whole[0]).payload))
            if echo == command:
                return data
        raise LinkError("link lost")

    def _ask(self, command, plain):
        rig = self._lock
        if self._last == (command, plain):
            rig.wait(2100, 300)  # sooner they would be taken for a repeat
        self._last = command, plain
        try:
            return rig.ask(command, plain)
        except lock_rig.Refused as err:
            raise from_ble(command, err.error)


def _make(folder):
    """(files, key store) of the lock."""
    rig = lock_rig.Rig(folder).paired()
    rig.connect()
    rig.log_in()
    rig.ask(opcodes.REMOTE_UNLOCK, b"\x02\x01")
    device = rig.device
    device.stores.passcodes.add(1, CODE.encode(), _ALWAYS[:5])
    device.stores.cards.add(CARD)
    device.stores.fingerprints.add(FINGER)
    device.stores.fobs.add(bytes(reversed(bytes.fromhex(MAC))), 80)
    device.stores.ekeys.add(UID, 99, _ALWAYS + b"\0")
    device.stores.passage.add(b"\x01\x03\x00\x08\x00\x0a\x00")
    return _files(folder), rig.nvs.values


def _files(folder, prefix=""):
    found = {}
    for name in os.listdir(folder + "/" + prefix if prefix else folder):
        path = prefix + name
        try:
            with open(folder + "/" + path, "rb") as file:
                found[path] = file.read()
        except OSError:  # a folder
            found.update(_files(folder, path + "/"))
    return found


class ChangeRig(JobRig):
    """A gateway whose only request has the id "one"."""

    def __init__(self, folder=None, far=None):
        super().__init__("changes", folder, far or FarLock())
        self.clock.unix_s = _UNIX_S
        self.lock.admin_ps, self.lock.unlock_key = lock_rig.ADMIN_PS, lock_rig.UNLOCK_KEY
        self.lock.aes = self.far.key
        self.lock.features = (1 << 47) - 1
        self.gateway_ops.unseal = self._unseal
        self._args = {}

    async def _unseal(self, command):
        return self._args

    def restarted(self):
        return ChangeRig(self.folder, self.far)

    def request(self, op, id="one"):
        """Send a request for a change."""
        self._args = args = CHANGES[op]
        members = {"sealed": "x"} if op in SEALED else {"args": args}
        self.send("cmd", dict(members, op=op, id=id))

    def serve(self, *ways):
        """Run the jobs, and go these ways one after the other -> codes of the results of the one request.

        "break": until the link is broken at the change, "round": until nobody has the radio any more, "cancel",
        "expire", "end": until the request has its result, "told": until somebody has been told how it stands.
        """

        async def work():
            tasks = self.start()
            for way in ways:
                if way == "cancel":
                    self.send("cmd", {"op": "cancel", "id": "two", "args": {"id": "one"}})
                elif way == "expire":
                    self.now.s += 700000
                    self.lock.seen_s = self.now.s
                    self.clock.unix_s += 700000
                for _ in range(5000):
                    if self._has_come_to(way):
                        break
                    await asyncio.sleep(0.001)
            while [task for task in tasks if not task.done()]:
                for task in tasks:
                    task.cancel()
                await asyncio.sleep(0)

        run(work())
        return [each["code"] for each in self.results("one")]

    def _has_come_to(self, way):
        if way == "break":
            return self.far.is_cut or self.results("one")
        if way == "cancel":
            return self.results("two")
        if way == "told":
            return self.out.steps or self.results("one")
        job = self.scheduler.current
        if job and self.far.is_cut:
            job.deadline_ms = ticks_ms()  # it tries to reach a lock that it does not reach any more
        return job is None and (way == "round" or self.results("one"))
