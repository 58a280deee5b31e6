"""Whose keys a gateway keeps: what the lock has accepted is not replaced by what nobody has tried."""

import json
import unittest

from firmware.lib import opcodes, sealed
from firmware.lib.errors import LinkError, LinkTimeout, from_ble
from firmware.lib.messages import session_lock
from tests.unit.command_rig import GATEWAY, LOCK, Rig
from tests.unit.gateway_rig import FEATURES

KEY = bytes(range(32))
OTHER = {"mac": LOCK, "aes": "11" * 16, "admin_ps": 1, "unlock_key": 2, "name": "Door"}
SAME = {"mac": LOCK, "aes": bytes(range(16)).hex(), "admin_ps": 1234, "unlock_key": 5678, "name": "Door"}


def hand_over(rig, bundle, **members):
    """Import, signed and sealed -> the result."""
    id = members.pop("id", "%032x" % (rig._seq + 500))
    now_s = members.pop("iat", rig.clock.unix_s)
    topic = members.pop("topic", "gatehouse/%s/cmd" % GATEWAY)
    text = sealed.seal(json.dumps(bundle).encode(), rig.public, id, "import", topic, now_s)
    members.setdefault("exp", now_s + 1)  # what is not near is soon given up
    return rig.ask_signed("import", None, id=id, sealed=text, iat=now_s, **members)


def describes(rig):
    """The lock tells what it is."""
    answers = {
        opcodes.FEATURES: session_lock.encode_features(88, FEATURES),
        opcodes.DEVICE_INFO: session_lock.encode_text("X"),
    }
    plain = rig.far._answer
    rig.far._answer = lambda command, body: answers[command] if command in answers else plain(command, body)


class ImportTest(unittest.TestCase):
    def kept(self, rig):
        lock = rig.registry.by_id(LOCK)
        return lock.aes.hex()[:2], lock.verified, lock.name

    def test_other_keys_of_a_verified_lock_must_be_accepted_by_it(self):
        rig = Rig("sealed_other", owner=KEY)
        rig.lock.seen_s = None
        rig.now.s += 4000  # not heard any more
        result = hand_over(rig, OTHER)
        self.assertEqual((result["ok"], result["code"]), (False, "not_near"))
        self.assertTrue("stay" in result["msg"])
        self.assertEqual(self.kept(rig), ("00", True, ""))

    def test_the_same_keys_bring_a_new_name_and_stay_verified(self):
        rig = Rig("sealed_same", owner=KEY)
        rig.lock.seen_s = None
        rig.now.s += 4000
        self.assertEqual(hand_over(rig, SAME)["code"], "ok")
        self.assertEqual(self.kept(rig), ("00", True, "Door"))
        self.assertEqual(rig.registry.by_id(LOCK).model, "GATEHOUSE-L1")

    def test_other_keys_that_the_lock_accepts_replace_them(self):
        rig = Rig("sealed_new", owner=KEY)
        describes(rig)
        self.assertEqual(hand_over(rig, OTHER)["code"], "ok")
        self.assertEqual(self.kept(rig), ("11", True, "Door"))

    def test_a_refusal_by_the_lock_changes_nothing(self):
        rig = Rig("sealed_refused", owner=KEY)
        rig.far.faults[opcodes.CHECK_ADMIN] = from_ble(opcodes.CHECK_ADMIN, 0x03)
        describes(rig)
        self.assertEqual(hand_over(rig, OTHER)["code"], "auth")
        self.assertEqual(self.kept(rig), ("00", True, ""))

    def test_silence_of_a_lock_that_is_near_is_a_wrong_key(self):
        for fault, links in ((LinkTimeout, 2), (LinkError, 4)):
            rig = Rig("sealed_silent", owner=KEY)

            async def silent(command, plain=b"", timeout_ms=6000, fault=fault):
                raise fault("nothing came")

            rig.far.exchange = silent
            result = hand_over(rig, OTHER)
            self.assertEqual(result["code"], "auth")
            self.assertEqual(rig.opened, links)
            self.assertEqual(self.kept(rig), ("00", True, ""))

    def test_a_new_lock_out_of_reach_is_taken_on_trust(self):
        rig = Rig("sealed_trust", owner=KEY)
        rig.now.s += 4000
        result = hand_over(rig, dict(OTHER, mac="010203040506"))
        self.assertEqual((result["code"], result["data"]), ("ok", {"verified": False}))
        self.assertFalse(rig.registry.by_id("010203040506").verified)

    def test_it_is_bound_to_place_and_time(self):
        rig = Rig("sealed_bound", owner=KEY)
        other = "gatehouse/001122334456/cmd"
        self.assertEqual(hand_over(rig, OTHER, topic=other)["code"], "auth")
        old_s = rig.clock.unix_s - 121
        self.assertEqual(hand_over(rig, OTHER, iat=old_s, exp=old_s + 120)["code"], "expired")
        self.assertEqual(hand_over(rig, OTHER, iat=old_s, exp=old_s + 121)["code"], "bad_request")
        self.assertEqual(self.kept(rig), ("00", True, ""))

    def test_a_full_gateway_is_the_owners_to_clear(self):
        rig = Rig("sealed_full", owner=KEY)  # it serves two at most
        rig.now.s += 4000
        self.assertEqual(hand_over(rig, dict(OTHER, mac="010203040506"))["code"], "ok")
        self.assertEqual(hand_over(rig, dict(OTHER, mac="010203040507"))["data"], {"reason": "full"})
        self.assertEqual(rig.ask_signed("forget", None, args={"mac": "010203040506"})["code"], "ok")
        self.assertEqual(hand_over(rig, dict(OTHER, mac="010203040507"))["code"], "ok")


if __name__ == "__main__":
    unittest.main()
