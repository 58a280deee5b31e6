"""A lock that keeps passcodes at the other end of a fake link, and a gateway beside it or away from it, on a board that
restarts: for the tests of durable requests.
"""

import json

from firmware.lib import opcodes
from firmware.lib.errors import from_ble
from tests.unit.command_rig import Rig
from tests.unit.gateway_rig import LinkedLock


class PasscodeLock(LinkedLock):
    """`codes` are those it has, `changes` how many changes it was asked for, `seeds` those it was given. Answers as our
    lock does."""

    def __init__(self):
        super().__init__()
        self.codes = []
        self.changes = 0
        self.seeds = None

    def _answer(self, command, plain):
        if command == opcodes.PASSCODE_LIST:
            return self._listed(int.from_bytes(plain[:2], "big"))
        if command == opcodes.INIT_PASSWORDS:
            self.seeds = bytes(plain)
        if command != opcodes.PASSCODE:
            return super()._answer(command, plain)
        self.changes += 1
        if plain[0] == 1:
            self.codes = []
            return b"\x58\x01"
        code = bytes(plain[3 : 3 + plain[2]]).decode()
        if plain[0] == 2:
            if code in self.codes:
                raise from_ble(command, 0x14)
            self.codes.append(code)
        elif code in self.codes and plain[0] == 5:
            at = 3 + len(code)
            self.codes[self.codes.index(code)] = bytes(plain[at + 1 : at + 1 + plain[at]]).decode()
        elif code in self.codes:
            self.codes.remove(code)
        else:
            raise from_ble(command, 0x15)
        return b"\x58" + bytes(plain[:1])

    def _listed(self, index):
        if index >= len(self.codes):
            return b"\x00\x00"
        digits = bytes((len(self.codes[index]),)) + self.codes[index].encode()
        item = b"\x01" + digits + digits + b"\x00\x01\x01\x00\x00"
        page = bytes((0, index + 1, len(item))) + item
        return bytes((0, len(page))) + page


class JobRig(Rig):
    """`restarted` is the same board after a power cut, beside the same lock."""

    def __init__(self, name, folder=None, far=None):
        super().__init__(name, folder)
        self.far = far or PasscodeLock()

    @property
    def codes(self):
        return self.far.codes

    def away(self):
        """The lock is not heard."""
        self.lock.seen_s = None
        return self

    def near(self):
        """The lock is heard again."""
        self.now.s += 30
        self.lock.seen_s = self.now.s

    def restarted(self):
        return JobRig("", self.folder, self.far).away()

    def put(self, op, args, id, **members):
        """Send a request that does not end at once -> data of the last message about it."""
        told = len(self.out.steps)
        self.send("cmd", dict(members, op=op, args=args, id=id))
        for _ in range(20):
            if len(self.out.steps) > told:
                break
            self.work(len(self.out.put_in) + 1, 50)
        return json.loads(self.out.steps[-1])["data"]

    def idle(self):
        """Run for a moment; no result is expected."""
        self.work(len(self.out.put_in) + 1, 400)

    def results(self, id):
        """Every final result with this id."""
        found = [json.loads(payload) for topic, payload in self.out.put_in if topic.endswith("/rsp")]
        return [each for each in found if each["id"] == id]
