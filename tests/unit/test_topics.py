import unittest

from firmware.lib import topics
from firmware.lib.errors import ProtocolError

_GW = "a1b2c3d4e5f6"
_LOCK = "e606a3a898bd"


class Build(unittest.TestCase):
    """mqtt.md 1; security.md ACL-1."""

    def test_names(self):
        names = topics.Topics(_GW)
        self.assertEqual(names.gateway("status"), "gatehouse/a1b2c3d4e5f6/status")
        self.assertEqual(names.lock(_LOCK, "records/ack"), "gatehouse/a1b2c3d4e5f6/lock/e606a3a898bd/records/ack")
        self.assertEqual(
            topics.discovery(_GW, _LOCK), "homeassistant/device/a1b2c3d4e5f6/gatehouse_e606a3a898bd/config"
        )
        self.assertEqual(topics.discovery("g", "l", "a/b"), "a/b/device/g/gatehouse_l/config")
        self.assertEqual(topics.Topics("+", "b").lock("+", "rsp"), "b/+/lock/+/rsp")

    def test_obeyed(self):
        self.assertEqual(
            topics.Topics(_GW, "h/x").obeyed(),
            [
                "h/x/a1b2c3d4e5f6/cmd",
                "h/x/a1b2c3d4e5f6/lock/+/cmd",
                "h/x/a1b2c3d4e5f6/lock/+/set",
                "h/x/a1b2c3d4e5f6/lock/+/records/ack",
                "homeassistant/status",
            ],
        )

    def test_home_assistants_own_topic_is_below_its_prefix_or_is_none_of_ours(self):
        self.assertEqual(topics.Topics(_GW, "g", "a/b").obeyed()[-1], "a/b/status")
        self.assertEqual(topics.Topics(_GW, "g", "a/b").parse_obeyed("a/b/status"), (topics.HA_STATUS, None))
        off = topics.Topics(_GW, "g", "")
        self.assertEqual(len(off.obeyed()), 4)
        self.assertIsNone(off.parse_obeyed("homeassistant/status"))

    def test_refuses_what_is_no_id(self):
        for text in ("", "A1B2C3D4E5F6", "a1b2c3d4e5f", "a1b2c3d4e5f6f", "a1b2c3d4e5/6"):
            with self.assertRaises(ProtocolError):
                topics.Topics(text)


class Parse(unittest.TestCase):
    def test_obeyed(self):
        names = topics.Topics(_GW)
        for leaf in ("cmd", "set", "records/ack"):
            self.assertEqual(names.parse_obeyed(names.lock(_LOCK, leaf)), (leaf, _LOCK))
        self.assertEqual(names.parse_obeyed(names.gateway("cmd")), ("cmd", None))
        self.assertEqual(names.parse_obeyed("homeassistant/status"), ("homeassistant/status", None))
        for bad in ("", "x", "gatehouse/a1b2c3d4e5f6/", "gatehouse/a1b2c3d4e5f6/set", "gatehouse/a1b2c3d4e5f7/cmd"):
            self.assertIsNone(names.parse_obeyed(bad))
        for bad in ("lock/E606A3A898BD/cmd", "lock/e606a3a898bd/rsp", "lock/e606a3a898bd", "lock/e606a3a898bd/cmd/x"):
            self.assertIsNone(names.parse_obeyed("gatehouse/a1b2c3d4e5f6/" + bad))

    def test_any(self):
        names = topics.Topics(_GW)
        for leaf in topics.GATEWAY_LEAVES:
            self.assertEqual(topics.parse(names.gateway(leaf)), (_GW, None, leaf))
        for leaf in topics.LOCK_LEAVES:
            self.assertEqual(topics.parse(names.lock(_LOCK, leaf)), (_GW, _LOCK, leaf))
        for bad in (
            "",
            "gatehouse",
            "gatehouse//cmd",
            names.gateway("x"),
            names.lock(_LOCK, "x"),
            names.lock("+", "cmd"),
        ):
            with self.assertRaises(ProtocolError):
                topics.parse(bad)
