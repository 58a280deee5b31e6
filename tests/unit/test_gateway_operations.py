"""Passcodes and auto-lock through the gateway, and what it is asked about itself."""

import json
import sys
import unittest

from firmware.gateway.registry import Registry
from firmware.lib import marks, opcodes, sealed
from firmware.lib.errors import LinkError, from_ble
from firmware.lib.messages import session_lock
from tests.unit.command_rig import GATEWAY, LOCK, Rig
from tests.unit.gateway_rig import FEATURES, quiet_log, vault


class OperationsTest(unittest.TestCase):
    def test_passcodes_in_and_never_out(self):
        rig = Rig("passcodes")
        answers = {opcodes.PASSCODE: b"\x58\x02", opcodes.PASSCODE_LIST: b"\x00\x00"}
        plain = rig.far._answer
        rig.far._answer = lambda command, body: answers[command] if command in answers else plain(command, body)
        self.assertEqual(rig.ask("passcode_add", {"code": "123459"})["code"], "ok")
        self.assertEqual(rig.ask("passcode_list")["data"], {"items": [], "next": None})
        item = b"\x01\x06123456\x06123456\x00\x01\x01\x00\x00"
        page = b"\x00\x01" + bytes((len(item),)) + item
        answers[opcodes.PASSCODE_LIST] = bytes((0, len(page))) + page
        pages = [answers[opcodes.PASSCODE_LIST], b"\x00\x00"]
        rig.far._answer = lambda command, body: (
            pages.pop(0) if command == opcodes.PASSCODE_LIST else plain(command, body)
        )
        found = rig.ask("passcode_list")["data"]["items"]
        self.assertEqual(
            found, [{"code": "******", "type": "permanent", "who": marks.of_passcode(rig.lock.aes, b"123456")}]
        )
        for args in ({}, {"code": "123"}, {"code": "12345a"}, {"code": "1234", "type": "period"}, {"code": 1234}):
            self.assertEqual(rig.ask("passcode_add", args)["code"], "bad_request")

    def test_deleting_what_is_gone_is_ok_and_an_existing_one_is_refused(self):
        rig = Rig("gone")
        rig.far.faults[opcodes.PASSCODE] = from_ble(opcodes.PASSCODE, 0x15)
        self.assertEqual(rig.ask("passcode_delete", {"code": "123459"})["code"], "ok")
        rig.far.faults[opcodes.PASSCODE] = from_ble(opcodes.PASSCODE, 0x14)
        result = rig.ask("passcode_add", {"code": "123459"})
        self.assertEqual((result["code"], result["ttlock"], result["data"]["reason"]), ("refused", -3007, "exists"))

    def test_a_link_that_broke_at_the_login_does_not_make_an_existing_code_ours(self):
        rig = Rig("exists")
        lost = LinkError("link lost")
        lost.sent = True
        rig.far.faults[opcodes.CHECK_ADMIN] = lost
        rig.far.faults[opcodes.PASSCODE] = from_ble(opcodes.PASSCODE, 0x14)
        self.assertEqual(rig.ask("passcode_add", {"code": "123459"})["code"], "refused")

    def test_codes_whose_end_the_offset_moves_out_of_the_calendar_are_listed(self):
        rig = Rig("century")
        rig.lock.zone = "EST5"
        item = b"\x03\x06123456\x06123456\x1a\x01\x01\x00\x00\x63\x0c\x1f\x17\x3b"
        page = b"\x00\x01" + bytes((len(item),)) + item
        pages = [bytes((0, len(page))) + page, b"\x00\x00"]
        plain = rig.far._answer
        rig.far._answer = lambda command, body: (
            pages.pop(0) if command == opcodes.PASSCODE_LIST else plain(command, body)
        )
        found = rig.ask("passcode_list")["data"]["items"]
        self.assertEqual(found[0]["end"], "2099-12-31T23:59:59Z")

    def test_the_lock_says_no_permission_and_is_asked_again_after_a_login(self):
        rig = Rig("login")
        rig.far._answer_plain = rig.far._answer
        rig.far._answer = lambda command, body: (
            b"\x58\x01\x00\x05\x00\x01\x03\x84\x01"
            if command == opcodes.AUTO_LOCK
            else rig.far._answer_plain(command, body)
        )
        rig.far.faults[opcodes.AUTO_LOCK] = from_ble(opcodes.AUTO_LOCK, 0x02)
        self.assertEqual(rig.ask("autolock_get")["data"], {"seconds": 5, "min": 1, "max": 900})
        self.assertEqual(rig.far.asked.count(opcodes.CHECK_ADMIN), 2)


KEY = bytes(range(32))


def _sealed(rig, bundle):
    """A bundle as `import` takes it, for the request with the id `s`."""
    topic, iat = rig.topics.gateway("cmd"), rig.clock.unix_s
    return sealed.seal(json.dumps(bundle).encode(), rig.public, "s", "import", topic, iat)


class GatewayOpsTest(unittest.TestCase):
    def ask(self, rig, op, args=None):
        request = {"id": "g-%d" % len(rig.out.put_in), "op": op}
        if args is not None:
            request["args"] = args
        rig.send("cmd", request, False, None)
        return rig.work(len(rig.out.put_in) + 1)[-1]

    def test_ping_info_locks(self):
        rig = Rig("gateway")
        self.assertEqual(self.ask(rig, "ping")["code"], "ok")
        self.assertEqual(self.ask(rig, "info")["data"], {"id": GATEWAY})
        self.assertEqual(self.ask(rig, "locks")["data"]["items"][0]["mac"], LOCK)
        self.assertEqual(self.ask(rig, "unlock")["code"], "bad_request")

    def test_a_fault_of_ours_is_answered_too(self):
        rig = Rig("fault")
        rig.about = lambda: [][0]
        self.assertEqual(self.ask(rig, "info")["code"], "internal")
        self.assertEqual(self.ask(rig, "ping")["code"], "ok")

    def test_forget_ends_service(self):
        rig = Rig("forget", owner=KEY)
        self.assertEqual(rig.ask_signed("forget", None, args={"mac": LOCK})["code"], "ok")
        self.assertEqual(rig.ask_signed("forget", None, args={"mac": LOCK})["code"], "ok")
        self.assertEqual(rig.ask_signed("state")["code"], "unknown_lock")
        self.assertEqual(len(Registry(vault(rig.folder + "/locks"), rig.now, quiet_log())), 0)

    def test_an_import_that_the_flash_refuses_is_answered_and_not_served(self):
        rig = Rig("sealed", owner=KEY)
        address = "010203040506"
        bundle = {"mac": address, "aes": "11" * 16, "admin_ps": 1, "unlock_key": 2}
        text = _sealed(rig, bundle)
        answers = {
            opcodes.FEATURES: session_lock.encode_features(88, FEATURES),
            opcodes.DEVICE_INFO: session_lock.encode_text("X"),
        }
        plain = rig.far._answer
        rig.far._answer = lambda command, body: answers[command] if command in answers else plain(command, body)

        def refuse(name, plain):
            raise OSError(28)

        rig.vault.save = refuse
        self.assertEqual(rig.ask_signed("import", None, id="s", sealed=text)["code"], "internal")
        self.assertEqual(rig.registry.by_id(address), None)

    def test_keys_come_sealed_only_and_are_tried_on_the_lock(self):
        rig = Rig("sealed", owner=KEY)
        bundle = {"mac": LOCK, "aes": "11" * 16, "admin_ps": 1, "unlock_key": 2, "name": "Door"}
        self.assertEqual(rig.ask_signed("import", None, args=bundle)["code"], "bad_request")
        text = _sealed(rig, bundle)
        self.assertEqual(rig.ask_signed("import", None, id="other", sealed=text)["code"], "auth")
        self.assertFalse("firmware.lib.sealed" in sys.modules or "firmware.lib.x25519" in sys.modules)
        rig.far.faults[opcodes.CHECK_ADMIN] = from_ble(opcodes.CHECK_ADMIN, 0x03)
        self.assertEqual(rig.ask_signed("import", None, id="s", sealed=text)["code"], "auth")
        self.assertEqual(rig.registry.by_id(LOCK).unlock_key, 5678)
