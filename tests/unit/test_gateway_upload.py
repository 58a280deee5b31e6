"""upload: the whole log again, every record as it was, in steps that give way; diagnosis: parts without a secret."""

import json
import unittest

from firmware.gateway.operations import history, queries
from firmware.lib import marks, opcodes
from firmware.lib.errors import LinkError
from firmware.lib.messages import session_lock
from firmware.system.timing import ticks_add, ticks_ms
from tests.unit.command_rig import Rig as CommandRig
from tests.unit.gateway_rig import run
from tests.unit.test_gateway_records import Rig, unlocked


class Job:
    """What `upload.run` sees of a CommandJob."""

    def __init__(self, rig, args):
        self.args = history.check("upload", args)
        self.deadline_ms = ticks_add(ticks_ms(), 60000)
        self.context = self
        self.records = rig.keeper
        self.uploads = rig.uploads
        self.wanted = False
        self.steps = []

    def is_wanted(self, priority):
        return self.wanted

    def progress(self, members):
        self.steps.append((members["done"], members["total"]))


def items(rig):
    return [(batch["epoch"], json.dumps(item)) for batch in rig.batches() for item in batch["items"]]


class UploadOperation(unittest.TestCase):
    def test_everything_comes_again_as_it_was(self):
        rig = Rig("upload-all")
        rig.far.first = 20
        rig.far.records = [unlocked(number) for number in range(33)]
        rig.read()
        rig.upload()
        first = items(rig)
        rig.broker.sent.clear()
        job = Job(rig, {})
        found = run(history.upload(job, rig.session()))
        era = marks.era(rig.lock.aes)
        self.assertEqual(found, {"read": 33, "new": 0, "total": 33, "next": None, "epoch": era, "cursor": 53})
        self.assertEqual(sorted(items(rig)), sorted(first))
        self.assertEqual(job.steps, [(done, 33) for done in range(3, 34, 3)])
        self.assertEqual(rig.keeper.buffer(rig.lock).cursor, 53)

    def test_it_gives_way_and_goes_on(self):
        rig = Rig("upload-yield")
        rig.far.records = [unlocked(number) for number in range(25)]
        rig.read()
        rig.upload()
        job = Job(rig, {})
        plain = rig.far._page

        def page(cursor):
            job.wanted = cursor == 12
            return plain(cursor)

        rig.far._page = page
        self.assertEqual(run(history.upload(job, rig.session()))["next"], 13)
        rig.broker.sent.clear()
        rig.far._page = plain
        found = run(history.upload(Job(rig, {"from": 13}), rig.session()))
        self.assertEqual((found["read"], found["next"]), (12, None))
        self.assertEqual([json.loads(text)["rec"] for _, text in items(rig)], list(range(13, 25)))

    def test_a_broken_link_costs_no_record_and_repeats_at_most_a_batch(self):
        rig = Rig("upload-broken")
        rig.far.records = [unlocked(number) for number in range(25)]
        rig.read()
        rig.upload()
        rig.broker.sent.clear()
        job = Job(rig, {})
        plain = rig.far._page
        asked = []

        def page(cursor):
            asked.append(cursor)
            if len(asked) == 15:
                raise LinkError("link lost")
            return plain(cursor)

        rig.far._page = page
        with self.assertRaises(LinkError):
            run(history.upload(job, rig.session()))
        found = run(history.upload(job, rig.session()))
        self.assertEqual((found["read"], found["total"], found["next"]), (25, 25, None))
        self.assertEqual([json.loads(text)["rec"] for _, text in items(rig)], list(range(25)))

    def test_numbers_that_began_anew_come_again_too(self):
        rig = Rig("upload-wrap")
        log = {number: unlocked(number) for number in (65531, 65532, 65533, 0, 1)}
        order = [65531, 65532, 65533, 0, 1]

        def page(cursor):  # lock-ble-link.md 9.1: the record with this number or the oldest above it
            from firmware.lib.messages import session_lock

            if cursor in log:
                return session_lock.encode_record(cursor, log[cursor])
            above = 65531 if cursor < 65531 and cursor != 2 else None
            return session_lock.encode_record(above or 0, None if above is None else log[above])

        rig.far._page = page
        for number in order:
            rig.keeper.buffer(rig.lock).append(number, log[number])
        rig.upload()
        first = {(epoch, json.loads(text)["rec"]) for epoch, text in items(rig)}
        rig.broker.sent.clear()
        found = run(history.upload(Job(rig, {}), rig.session()))
        self.assertEqual((found["read"], found["total"], found["next"]), (5, 5, None))
        self.assertEqual({(epoch, json.loads(text)["rec"]) for epoch, text in items(rig)}, first)


class DiagnosisOperation(unittest.TestCase):
    def test_every_part_is_there_and_small(self):
        rig = CommandRig("diagnosis")
        report = json.dumps(
            {"uptime_s": 7, "heap": 100000, "wrong": {"user": [0, 0, 0]}, "restart": {"why": "x" * 120}}
        )
        plain = rig.far._answer

        def answer(command, body):
            if command == opcodes.DIAGNOSIS:
                return session_lock.encode_report(88, report.encode(), session_lock.decode_diagnosis(body))
            if command == opcodes.AUTO_LOCK:
                return b"\x58\x01\x00\x05\x00\x01\x03\x84\x01"
            if command == opcodes.SOUND:
                return b"\x58\x01\x01"
            return plain(command, body)

        rig.far._answer = answer
        found = {}
        for part in queries.PARTS:
            result = rig.ask("diagnosis", {"part": part})
            self.assertEqual((result["code"], result["data"]["part"]), ("ok", part))
            found[part] = result["data"]["found"]
        self.assertEqual(found["report"]["uptime_s"], 7)
        self.assertEqual(found["stores"], {"wrong": {"user": [0, 0, 0]}})
        self.assertEqual(found["settings"], {"auto_lock_s": 5, "remote_unlock": True, "sound": True})
        self.assertEqual((found["lock"]["model"], found["lock"]["battery"]), ("GATEHOUSE-L1", 88))
        self.assertEqual(found["gateway"]["version"], "0.1.0")
        self.assertEqual(found["errors"], [])

    def test_a_foreign_lock_has_no_report_and_errors_are_told_by_code(self):
        rig = CommandRig("diagnosis2")
        rig.lock.model = "SN123"
        rig.ask("nonsense")
        self.assertEqual(rig.ask("diagnosis", {"part": "report"})["data"]["found"], None)
        self.assertFalse(opcodes.DIAGNOSIS in rig.far.asked)
        found = rig.ask("diagnosis", {"part": "errors"})["data"]["found"]
        self.assertEqual([(each["op"], each["code"]) for each in found], [("nonsense", "bad_request")])
        self.assertEqual(rig.ask("diagnosis", {"part": "keys"})["code"], "bad_request")
