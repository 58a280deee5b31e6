"""A gateway whose lock keeps passcodes, for the tests of durable requests: near or away, on a board that restarts."""

import json

from firmware.lib import opcodes
from tests.unit.command_rig import Rig


class JobRig(Rig):
    """`codes` are those the lock has, `asked` how many changes it was asked for. `restarted` is the same board after
    a power cut, beside the same lock."""

    def __init__(self, name, folder=None):
        super().__init__(name, folder)
        self.codes = []
        self.asked = 0
        plain = self.far._answer

        def answer(command, body):
            if command == opcodes.PASSCODE_LIST:
                return self._page(int.from_bytes(body[:2], "big"))
            if command != opcodes.PASSCODE:
                return plain(command, body)
            self.asked += 1
            code = bytes(body[3 : 3 + body[2]]).decode()
            if body[0] == 2:
                self.codes.append(code)
            elif code in self.codes:
                self.codes.remove(code)
            return b"\x58" + body[:1]

        self.far._answer = answer

    def _page(self, index):
        if index >= len(self.codes):
            return b"\x00\x00"
        digits = bytes((len(self.codes[index]),)) + self.codes[index].encode()
        item = b"\x01" + digits + digits + b"\x00\x01\x01\x00\x00"
        page = bytes((0, index + 1, len(item))) + item
        return bytes((0, len(page))) + page

    def away(self):
        """The lock is not heard."""
        self.lock.seen_s = None
        return self

    def near(self):
        """The lock is heard again."""
        self.now.s += 30
        self.lock.seen_s = self.now.s

    def restarted(self):
        again = JobRig("", self.folder)
        again.codes, again.far.faults = self.codes, self.far.faults
        again.lock.seen_s = None
        return again

    def put(self, op, args, id, **members):
        """Send a request that does not end at once -> data of the last message about it."""
        told = len(self.out.steps)
        self.send("cmd", dict(members, op=op, args=args, id=id))
        self.idle(lambda: len(self.out.steps) > told)
        return json.loads(self.out.steps[-1])["data"]

    def idle(self, until=None):
        """Run for a moment, or until something holds; no result is expected."""
        self.work(len(self.out.put_in) + 1, 400) if until is None else self._wait(until)

    def _wait(self, until):
        for _ in range(20):
            if until():
                return
            self.work(len(self.out.put_in) + 1, 50)

    def results(self, id):
        """Every final result with this id."""
        found = [json.loads(payload) for topic, payload in self.out.put_in if topic.endswith("/rsp")]
        return [each for each in found if each["id"] == id]
