"""The recorded client sides of every transcript, re-keyed live, played against our lock (spec/vectors.md)."""

import json
import unittest

from firmware.lib import crypto, frame
from firmware.lib.messages import common
from tests.scratch import scratch
from tests.unit.lock_rig import ADMIN_PS, UNLOCK_KEY, Rig, erase
from tests.vectors.vectors import FOLDER as VECTORS

FOLDER = scratch("lock-transcripts")

_SUMMED = (0x30, 0x47, 0x58)


class Transcripts(unittest.TestCase):
    def tearDown(self):
        erase(FOLDER)

    def play(self, transcript, rig):
        """Send each client frame; the lock must answer what the recorded one did, but for the values of the day."""
        key = rig.key
        unlock_key = UNLOCK_KEY
        challenge = 0
        frames = transcript["frames"]
        for at in range(0, len(frames), 2):
            sent, expected = frames[at], frames[at + 1]
            command = int(sent["command"], 16)
            plain = bytes.fromhex(sent["plaintext"])
            if command in _SUMMED:
                plain = ((challenge + unlock_key) & 0xFFFFFFFF).to_bytes(4, "big") + plain[4:]
            if command == 0x56:
                unlock_key = int.from_bytes(plain[4:8], "big")
            payload = crypto.encrypt(key, plain) if sent["header"]["length"] else b""
            vendor = sent["crc_on_wire"] != sent["crc_standard"]
            answers = rig.raw(frame.encode(command, payload, vendor=vendor))
            where = "%s, exchange %d" % (transcript["name"], at // 2)
            self.assertEqual(len(answers), 1, where)
            answer = frame.decode(answers[0])
            self.assertEqual(answer.command, 0x54, where)
            if not expected["plaintext"]:
                self.assertEqual(answer.payload, b"", where)
                continue
            got = crypto.decrypt(key, answer.payload)
            self.assertEqual(got[:2], bytes.fromhex(expected["plaintext"])[:2], where)
            data = common.reply(got)[2]
            if command in (0x41, 0x55):
                challenge = int.from_bytes(data, "big")
            elif command == 0x19:
                key = bytes(data)
            elif command in (0x43, 0x30):
                self.assertEqual(got, bytes.fromhex(expected["plaintext"]) + bytes((rig.device.battery_pct,)), where)
            elif command in (0x45, 0x53, 0x56, 0x57):
                self.assertEqual(got, bytes.fromhex(expected["plaintext"]), where)
            elif command != 0x90 and command != 0x25 and command != 0x01:
                recorded = len(expected["plaintext"]) // 2
                self.assertEqual(len(got), recorded + (1 if command in (0x36, 0x62) else 0), where)

    def test_every_transcript(self):
        played = 0
        with open(VECTORS + "/vectors-link.json") as file:
            transcripts = json.load(file)["transcripts"]
        for transcript in transcripts:
            rig = Rig(FOLDER)
            if transcript["name"] == "js_pairing_full":
                rig.lock.keypad.touch(rig.now_ms)
            else:
                self.assertEqual((ADMIN_PS, UNLOCK_KEY), (13579246, 24681357))
                rig.paired()
            rig.connect()
            self.play(transcript, rig)
            rig.disconnect()
            self.assertEqual(
                rig.device.stores.keys.is_paired, transcript["name"] != "js_reset_lock", transcript["name"]
            )
            unlocks = 1 if "unlock" in transcript["name"] else 0
            self.assertEqual(rig.pins.movements, unlocks, transcript["name"])
            played += 1
        self.assertEqual(played, 15)
