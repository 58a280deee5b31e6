"""Ekeys through the gateway, with the lock's own store and decoder at the other end of the link."""

import json
import unittest

from firmware.lib import opcodes, sealed
from firmware.lib.errors import from_ble
from firmware.lib.messages import common, ekey_lock
from firmware.lock.commands import ekeys as lock_ekeys
from firmware.lock.stores.ekeys import Ekeys
from tests.unit.command_rig import Rig

UID = ekey_lock.FIRST_UID
KEY = 123456789


class _Vault:
    """In memory."""

    def __init__(self):
        self.kept = None

    def load(self, name):
        return self.kept

    def save(self, name, packed):
        self.kept = packed


class _Part:
    def forget(self, slot):
        pass


class EkeyRig(Rig):
    """A gateway and a lock of ours."""

    def __init__(self):
        super().__init__("sealed")
        self.lock.model = "GATEHOUSE-L1"
        store = Ekeys(_Vault())
        self.store = store
        device = _Part()
        device.battery_pct = 88
        device.log = lambda word, **values: None
        device.stores = stores = _Part()
        stores.ekeys = store
        stores.limits = _Part()
        stores.limits.ekeys = _Part()
        engine = _Part()
        engine.device = device
        engine.stores = stores
        plain = self.far._answer

        def answer(command, body):
            if command != opcodes.EKEY:
                return plain(command, body)
            _, ok, data = common.reply(lock_ekeys.manage(engine, ekey_lock.decode_manage(body)))
            if not ok:
                raise from_ble(command, data[0])
            return data

        self.far._answer = answer

    def add(self, args):
        id = "add-%d" % len(self.out.put_in)
        return self.ask("ekey_add", id=id, sealed=sealed.seal(json.dumps(args).encode(), self.public, id, "ekey_add"))


class EkeysTest(unittest.TestCase):
    def test_an_ekey_from_its_first_day_to_its_last(self):
        rig = EkeyRig()
        found = rig.ask("ekey_list")["data"]
        self.assertEqual((found["items"], found["next_uid"], found["capacity"]), ([], UID, 50))
        args = {"uid": UID, "unlock_key": KEY, "start": 1790000000, "end": 1790003600, "remote": True}
        result = rig.add(args)
        self.assertEqual((result["code"], result["data"]), ("ok", {"uid": UID}))
        self.assertEqual(rig.store.unlock_key(0), KEY)
        self.assertEqual(rig.ask("ekey_add", dict(args, uid=UID + 1))["code"], "bad_request")  # not sealed
        found = rig.ask("ekey_list")["data"]["items"]
        wanted = {"uid": UID, "state": "normal", "remote": True, "once": False}
        wanted.update(start="2026-09-21T14:13:00Z", end="2026-09-21T15:13:00Z")
        self.assertEqual(found, [wanted])

        self.assertEqual(rig.ask("ekey_freeze", {"uid": UID})["code"], "ok")
        self.assertEqual(rig.ask("ekey_list")["data"]["items"][0]["state"], "frozen")
        opened = rig.opened
        refused = rig.ask("unlock", {"ekey": UID})
        self.assertEqual((refused["code"], refused["ttlock"]), ("refused", -2025))
        self.assertEqual(rig.ask("ekey_unfreeze", {"uid": UID})["code"], "ok")
        self.assertEqual(rig.ask("ekey_change", {"uid": UID, "remote": False})["code"], "ok")
        refused = rig.ask("unlock", {"ekey": UID})
        self.assertEqual((refused["code"], refused["ttlock"]), ("remote_unlock_disabled", -3046))
        self.assertEqual(rig.ask("unlock", {"ekey": UID + 1})["code"], "forbidden")
        self.assertEqual(rig.opened, opened + 2)  # for the two changes, not for the refusals
        self.assertEqual(rig.far.moved, 0)

        self.assertEqual(rig.ask("ekey_change", {"uid": UID, "permanent": True, "remote": True})["code"], "ok")
        found = rig.ask("ekey_list")["data"]["items"]
        self.assertEqual(found, [{"uid": UID, "state": "normal", "remote": True, "once": False}])
        self.assertEqual(rig.ask("unlock", {"ekey": UID})["code"], "ok")
        self.assertEqual(rig.far.moved, 1)

        for _ in range(2):
            self.assertEqual(rig.ask("ekey_delete", {"uid": UID})["code"], "ok")
        self.assertEqual(rig.ask("unlock", {"ekey": UID})["code"], "forbidden")
        refused = rig.ask("ekey_freeze", {"uid": UID})
        self.assertEqual((refused["code"], refused["data"]["reason"]), ("refused", "not_found"))
        self.assertEqual(rig.ask("ekey_reset")["data"], {"flag_pos": 1})
        self.assertEqual(rig.registry.by_id(rig.lock.id).flag_pos, 1)
        kept = rig.vault.load(rig.lock.id)
        self.assertFalse(str(KEY).encode() in kept)

    def test_many_are_listed_in_pages(self):
        rig = EkeyRig()
        for n in range(11):
            rig.store.add(UID + n, KEY, b"\x00\x01\x01\x00\x00\x63\x01\x01\x00\x00\x00")
        first = rig.ask("ekey_list")["data"]
        second = rig.ask("ekey_list", {"cursor": first["next"]})["data"]
        self.assertEqual([item["uid"] - UID for item in first["items"] + second["items"]], list(range(11)))
        self.assertEqual(second["next"], None)

    def test_what_makes_no_sense_or_no_lock_can_do_does_not_reach_the_radio(self):
        rig = EkeyRig()
        for op, args in (
            ("ekey_delete", {"uid": 7}),
            ("ekey_delete", {}),
            ("ekey_freeze", {"uid": UID, "x": 1}),
            ("ekey_change", {"uid": UID, "start": 1790000000}),
            ("ekey_change", {"uid": UID, "start": 1790000000, "end": 1790000000}),
            ("ekey_change", {"uid": UID, "start": 1790000000, "end": 1790000060, "permanent": True}),
            ("ekey_change", {"uid": UID, "remote": 1}),
            ("unlock", {"ekey": "x"}),
            ("lock", {"ekey": UID}),
        ):
            self.assertEqual(rig.ask(op, args)["code"], "bad_request", op)
        rig.lock.model = "SN9100"
        for op, args in (("ekey_list", None), ("ekey_delete", {"uid": UID}), ("unlock", {"ekey": UID})):
            result = rig.ask(op, args)
            self.assertEqual((result["code"], result["ttlock"]), ("unsupported", -4043), op)
        rig.lock.features &= ~1 & ~(1 << 10)
        for op, args in (("passcode_add", {"code": "123456"}), ("passcode_list", None), ("unlock", None)):
            self.assertEqual(rig.ask(op, args)["code"], "unsupported")
        self.assertEqual(rig.opened, 0)

    def test_a_stale_flag_position_is_asked_for_and_not_taken_for_a_refusal(self):
        rig = EkeyRig()
        rig.store.reset(3)
        rig.far.faults[opcodes.CHECK_USER] = from_ble(opcodes.CHECK_USER, 0x0D)
        self.assertEqual(rig.ask("unlock")["code"], "ok")
        self.assertEqual(rig.lock.flag_pos, 3)
