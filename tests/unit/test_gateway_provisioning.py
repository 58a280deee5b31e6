"""Every setting of a gateway: the extremes that are taken, and what is refused, at the console's one table."""

import os
import sys
import unittest

from firmware.gateway import provisioning
from firmware.lib.errors import ConfigError
from firmware.system import config
from tests.scratch import scratch

PATH = scratch("provisioning.json")
CERTIFICATE = scratch("provisioning.der")
NO_CERTIFICATE = scratch("provisioning.txt")
GOOD = {"wifi_ssid": "home", "wifi_password": "password", "mqtt_host": "broker", "insecure_broker": True}
LABEL = "a" * 63
LONG_NAME = ".".join([LABEL, LABEL, LABEL, "b" * 61])
HOSTS = ("b", "broker.local", "Broker.LAN.", "my_box", "1st.example.org", "1.2.3.4", "192.168.0.1", "223.255.255.255")
HOSTS += (LABEL, LONG_NAME, "xn--bcher-kva.example", "2001-db8.example")
IP6 = ("2001:db8::1", "fd00::", "1:2:3:4:5:6:7:8", "::2", "1::", "fd00:0:0:0:0:0:0:1", "2001:DB8::a:b", "[fd00::1]")
NO_HOSTS = (
    "",
    " ",
    "broker ",
    " broker",
    "bro ker",
    "broker\n",
    "broker\x00",
    "broker:1883",
    "1.2.3.4:1883",
    "[fd00::1",
    "[broker]",
    "[fd00::1]:1883",
)
NO_HOSTS += (
    "mqtt://broker",
    "http://broker/",
    "broker/",
    "user@broker",
    "localhost",
    "LOCALHOST",
    "localhost.",
    "..",
    ".",
)
NO_HOSTS += (
    "1.2.3",
    "1.2.3.256",
    "1.2.3.4.5",
    "01.2.3.4",
    "1234",
    "0.0.0.0",
    "224.0.0.1",
    "255.255.255.255",
    "-a",
    "a-",
)
NO_HOSTS += (
    "a..b",
    LABEL + "a",
    LONG_NAME + "bb",
    "b\u00fccher.example",
    "\u2029",
    "br*ker",
    "a,b",
    "a;b",
    "a%b",
    "a+b",
)
NO_HOSTS += ("::1", "::", "0:0:0:0:0:0:0:1", "0000::0001", "fe80::1", "ff02::1", "fd00::1%2", "fd00:::1", "fd00::1::2")
NO_HOSTS += ("1:2:3:4:5:6:7", "1:2:3:4:5:6:7:8:9", "fd00::12345", "fd00::g", ":::", ":", 1, None, True, ["broker"])
PORTED = ("broker:1883", "1.2.3.4:1883")  # which a time server may be
NUMBERS = {
    "mqtt_port": (1, 65535),
    "ntp_port": (1, 65535),
    "keepalive_s": (4, 3600),
    "presence_s": (600, 86400),
    "expiry_s": (1, 30),
    "unlock_per_min": (1, 10000),
    "unlock_per_h": (1, 100000),
    "other_per_min": (1, 10000),
    "clock_max_drift_s": (2, 3600),
    "linger_ms": (0, 4000),
}
OWN_ADDRESS = {"ip_address": "10.1.2.3/8", "ip_router": "10.1.2.1", "ip_dns": "10.1.2.1"}
NO_TEXTS = ("blank ", " blank", "\ttab", "line\n", "a\x00b", "a\x1bb", "a\x7fb", 5, None, True, {}, ["text"])
TAKEN = {
    "wifi_ssid": ("a", "a" * 32, "\U0001f3e0" * 8, "caf\u00e9 1", "a b"),
    "wifi_password": ("", "a" * 8, "a" * 63, "0123456789abcdefABCDEF" + "0" * 42, " ends in blanks ", "\u00e4" * 31),
    "mqtt_host": HOSTS + IP6,
    "ip_address": ("", "10.0.0.1/8", "10.1.2.254/24", "10.1.2.2/30"),
    "ip_router": ("", "10.255.255.254", "10.0.0.1"),
    "ip_dns": ("", "192.168.1.1", "9.9.9.9"),
    "mqtt_user": ("", "u", "u" * 512, "\u00e4" * 256, "a:b@c"),
    "mqtt_password": ("", "p", "p" * 512, "\u00e4" * 256, " "),
    "mqtt_base": ("g", "g" * 32, "gate-house_1", "\u00e4" * 16),
    "mqtt_ca": ("", CERTIFICATE),
    "mqtt_cert": ("", CERTIFICATE),
    "mqtt_key": ("", CERTIFICATE),
    "ntp_host": ("",) + HOSTS,
    "ntp_hosts": tuple([host, "b.example:123"] for host in HOSTS) + (["a", "b", "c:1", "d:65535", "192.168.1.1"],),
    "name": ("", "n", "n" * 48, "\u00e4" * 24, "Gate [/] <b>"),
    "records_ack": ("puback", "consumer"),
    "insecure_broker": (True,),
    "unsigned_unlock": (True, False),
    "remote_pin": ("", "0000", "123456", "98765432"),
    "records_clear": (True, False),
    "discovery": (True, False),
    "discovery_prefix": ("homeassistant", "h", "house/ha", "a_b-1", "\u00e4" * 16),
}
REFUSED = {
    "wifi_ssid": ("", "a" * 33, "\u00e4" * 17, "\U0001f3e0" * 9) + NO_TEXTS,
    "wifi_password": (
        "a",
        "a" * 7,
        "z" * 64,
        "a" * 65,
        "g" + "0" * 63,
        "12345678\n",
        "a\x00bcdefgh",
        12345678,
        None,
        True,
    ),
    "ip_address": ("10.100.1.20", "10.100.1.20/", "10.100.1.20/7", "10.100.1.20/31", "10.100.1.20/024")
    + ("10.100.1.0/24", "10.100.1.255/24", "10.100.1.256/24", "fd00::1/64", "a.b.c.d/24", "224.0.0.1/24", "/24")
    + NO_TEXTS,
    "ip_router": ("192.168.1", "192.168.1.1/24", "router", "fd00::1", "0.0.0.0", "01.2.3.4") + NO_TEXTS,
    "ip_dns": ("dns.example", "255.255.255.255") + NO_TEXTS,
    "mqtt_host": NO_HOSTS,
    "mqtt_user": ("u" * 513,) + NO_TEXTS,
    "mqtt_password": ("p" * 513, "a\n", "a\x00", 5, None),
    "mqtt_base": ("", "g" * 33, "a/b", "+", "#", "a+", "$SYS", "a b", "/a", "a/") + NO_TEXTS,
    "mqtt_ca": ("/nothing/there.der", NO_CERTIFICATE, "/", "a" * 129) + NO_TEXTS,
    "ntp_host": tuple(each for each in NO_HOSTS if each != "") + IP6 + ("pool ntp org", "ntp://pool.ntp.org"),
    "ntp_hosts": tuple(["z.example", each] for each in NO_HOSTS + IP6 if each not in (["broker"],) + PORTED)
    + ("pool.ntp.org", "a,b", ["a"], [], None, 5, True, {}, ["a", "A"], ["a:123", "a:123"], ["a"] * 3)
    + (["a", "b:0"], ["a", "b:"], ["a", "b:65536"], ["a", "b:x"], ["a", "b:\u00b2"], ["a", ":123"], ["a", ["b"]])
    + (["a", "b", "c", "d", "e", "f"], ["a", "b:1:2"], ["a", "ntp://b"], ["a", "b c"]),
    "name": ("n" * 49, "\u00e4" * 25, "a\u202eb", "a\x9bb", "a\u2028") + NO_TEXTS,
    "records_ack": ("", "Puback", "both", 1, None, True, ["puback"]),
    "insecure_broker": (False, 0, 1, "true", None, []),
    "unsigned_unlock": (0, 1, "true", None, []),
    "remote_pin": ("123", "123456789", "12a4", " 1234", "-123", "12.4", "\u0664" * 4, "\uff11" * 4, "1234\n")
    + (1234, None, True, ["1234"], b"1234"),
    "records_clear": (0, 1, "true", None, []),
    "discovery": (0, 1, "true", None, []),
    "discovery_prefix": ("", "h" * 33, "+", "#", "a/#", "$SYS", "a b", "/a", "a/", "a//b", "a\u202eb") + NO_TEXTS,
}
REFUSED["mqtt_cert"] = REFUSED["mqtt_key"] = REFUSED["mqtt_ca"]
for key, (low, high) in NUMBERS.items():
    TAKEN[key] = low, high
    REFUSED[key] = low - 1, high + 1, str(low), float(low), True, None, [low], 1 << 70


class SettingsTableTest(unittest.TestCase):
    def setUp(self):
        for path, start in ((CERTIFICATE, b"\x30\x82"), (NO_CERTIFICATE, b"-----BEGIN")):
            with open(path, "wb") as file:
                file.write(start)
        self.table = provisioning.table()

    def tearDown(self):
        for path in (CERTIFICATE, NO_CERTIFICATE):
            os.remove(path)

    def test_every_key_of_the_table_is_in_this_test(self):
        keys = sorted(self.table.check(GOOD).as_dict())
        self.assertEqual(sorted(TAKEN), keys)
        self.assertEqual(sorted(REFUSED), keys)

    def test_extremes_are_taken(self):
        for key in TAKEN:
            for value in TAKEN[key]:
                extra = {"mqtt_user": "u"} if key == "mqtt_password" else {}
                if key == "remote_pin":
                    extra = {"mqtt_ca": CERTIFICATE}
                if key in ("mqtt_cert", "mqtt_key") and value:
                    extra = {"mqtt_ca": CERTIFICATE, "mqtt_cert": CERTIFICATE, "mqtt_key": CERTIFICATE}
                if key in OWN_ADDRESS and value:
                    extra = OWN_ADDRESS
                given = dict(GOOD, **extra)
                given[key] = value
                self.assertEqual(self.table.faults(given), [], "%s %r" % (key, value))

    def test_what_cannot_work_is_refused_by_its_key_and_not_shown(self):
        for key in REFUSED:
            for value in REFUSED[key]:
                given = dict(GOOD)
                given[key] = value
                faults = self.table.faults(given)
                self.assertEqual(len(faults), 1, "%s %r: %r" % (key, value, faults))
                self.assertTrue(key in faults[0], "%s %r: %r" % (key, value, faults))
                if isinstance(value, str) and len(value) > 8:
                    self.assertFalse(value in faults[0])

    def test_a_password_needs_a_user(self):
        self.assertEqual(self.table.faults(dict(GOOD, mqtt_password="p")), ["mqtt_password needs mqtt_user"])

    def test_an_identity_is_whole_and_belongs_to_tls(self):
        for names in (("mqtt_cert",), ("mqtt_key",), ("mqtt_cert", "mqtt_ca"), ("mqtt_key", "mqtt_ca")):
            given = dict(GOOD)
            for name in names:
                given[name] = CERTIFICATE
            self.assertTrue("mqtt_cert and mqtt_key belong together" in self.table.faults(given))
        both = dict(GOOD, mqtt_cert=CERTIFICATE, mqtt_key=CERTIFICATE)
        self.assertEqual(self.table.faults(both), ["mqtt_cert needs mqtt_ca"])

    def test_a_board_that_reaches_no_ip6_says_so(self):
        from firmware.gateway import settings

        here = settings.sys

        class Esp32:
            platform = "esp32"

        settings.sys = Esp32
        try:
            for value in IP6:
                faults = settings.TABLE.faults(dict(GOOD, mqtt_host=value))
                self.assertEqual(len(faults), 1)
                self.assertTrue("IPv4 only" in faults[0])
        finally:
            settings.sys = here

    def test_an_address_of_its_own_has_a_router_in_its_network(self):
        own = dict(GOOD, ip_address="192.168.1.20/24", ip_router="192.168.1.1")
        for given, address in (
            ({}, ("192.168.1.20", "255.255.255.0", "192.168.1.1", "192.168.1.1")),
            ({"ip_dns": "9.9.9.9"}, ("192.168.1.20", "255.255.255.0", "192.168.1.1", "9.9.9.9")),
            ({"ip_address": "10.0.0.1/8", "ip_router": "10.9.0.1"}, ("10.0.0.1", "255.0.0.0", "10.9.0.1", "10.9.0.1")),
            ({"ip_address": "10.0.0.1/30", "ip_router": "10.0.0.2"},)
            + (("10.0.0.1", "255.255.255.252") + ("10.0.0.2",) * 2,),
        ):
            config.write(PATH, self.table, dict({"ip_dns": None}, **dict(own, **given)))
            self.assertEqual(provisioning.load(PATH).fixed_ip, address)
        config.store.remove(PATH)
        config.write(PATH, self.table, GOOD)
        self.assertEqual(provisioning.load(PATH).fixed_ip, None)
        for given in (
            {"ip_router": ""},
            {"ip_address": ""},
            {"ip_router": "192.168.2.1"},
            {"ip_router": "192.168.1.20"},
            {"ip_address": "", "ip_router": "", "ip_dns": "9.9.9.9"},
        ):
            self.assertEqual(len(self.table.faults(dict(own, **given))), 1)

    def test_the_one_time_server_of_before_is_the_first_of_three(self):
        usual = ["pool.ntp.org", "time.cloudflare.com", "time.google.com"]
        for given, hosts in (
            ({}, usual),
            ({"ntp_host": "192.168.1.1"}, ["192.168.1.1"] + usual[:2]),
            ({"ntp_host": usual[0]}, usual),
            ({"ntp_host": usual[2]}, [usual[2]] + usual[:2]),
            ({"ntp_hosts": ["a", "b"]}, ["a", "b"]),
        ):
            config.write(PATH, self.table, dict(dict(GOOD, ntp_host=None, ntp_hosts=None), **given))
            self.assertEqual(provisioning.load(PATH).ntp_hosts, hosts)
        both = dict(GOOD, ntp_host="a", ntp_hosts=["a", "b"])
        self.assertEqual(len(self.table.faults(both)), 1)

    def test_new_time_servers_take_the_place_of_the_one_of_before(self):
        console = provisioning.Provisioning("aabbccddeeff", None, PATH)
        config.write(PATH, self.table, dict(GOOD, ntp_hosts=None, ntp_host="192.168.1.1"))
        self.assertTrue(console.handle({"do": "set", "settings": {"ntp_hosts": ["a", "b"]}})["ok"])
        self.assertEqual(provisioning.load(PATH).ntp_hosts, ["a", "b"])

    def test_a_part_lacks_nothing(self):
        self.assertEqual(self.table.faults({"name": "Hall"}, True), [])
        self.assertEqual(self.table.faults({"wifi_ssid": "a " * 20}, True), ["wifi_ssid has not 1 to 32 bytes"])

    def test_only_a_board_has_itself_at_127(self):
        self.assertEqual(self.table.faults(dict(GOOD, mqtt_host="127.0.0.1")), [])
        if sys.implementation.name == "cpython":
            platform, sys.platform = sys.platform, "esp32"
            try:
                self.assertEqual(len(self.table.faults(dict(GOOD, mqtt_host="127.0.0.1"))), 1)
            finally:
                sys.platform = platform

    def test_nothing_is_written_that_is_refused_and_hello_tells_what_is_wrong(self):
        console = provisioning.Provisioning("aabbccddeeff", None, PATH)
        config.store.remove(PATH)
        try:
            self.assertEqual(console.handle({"do": "set", "settings": GOOD}), {"ok": True})
            for key in REFUSED:
                value = [each for each in REFUSED[key] if each is not None][0]
                with self.assertRaises(ConfigError):
                    console.handle({"do": "set", "settings": {key: value}})
            self.assertEqual(console.handle({"do": "hello"})["faults"], [])
            self.assertEqual(config.read(PATH), GOOD)
            config.store.save(PATH, dict(GOOD, mqtt_host="mqtt://broker", wifi_password="1234567"))
            faults = console.handle({"do": "hello"})["faults"]
            self.assertEqual([fault.split(" ")[0] for fault in faults], ["wifi_password", "mqtt_host"])
        finally:
            config.store.remove(PATH)

    def test_a_presence_time_that_is_too_short_for_a_real_lock_says_why_and_an_old_one_keeps_no_gateway_from_working(
        self,
    ):
        for short in (0, 5, 60, 599):
            (fault,) = self.table.faults(dict(GOOD, presence_s=short))
            self.assertTrue(fault.startswith("presence_s is not between 600 and 86400: a lock that is near"), fault)
        try:
            for stored, kept in ((5, 600), (599, 600), (600, 600), (1800, 1800)):
                config.store.save(PATH, dict(GOOD, presence_s=stored))
                self.assertEqual(provisioning.load(PATH).presence_s, kept)
                hello = provisioning.Provisioning("aabbccddeeff", None, PATH).handle({"do": "hello"})
                self.assertEqual(hello["faults"], [])
            config.store.save(PATH, dict(GOOD, presence_s=4))
            with self.assertRaises(ConfigError):
                provisioning.load(PATH)
        finally:
            config.store.remove(PATH)

    def test_hello_tells_how_far_the_way_to_the_broker_goes(self):
        there = provisioning.Provisioning("aabbccddeeff", None, PATH, connection=lambda: ("login", 2, "code 5"))
        told = there.handle({"do": "hello"})
        self.assertEqual(told["connection"], {"state": "login", "failures": 2, "msg": "code 5"})
        self.assertEqual(told["board"], sys.platform)


if __name__ == "__main__":
    unittest.main()
