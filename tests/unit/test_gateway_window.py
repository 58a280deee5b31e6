"""The add window without a radio: what each endpoint answers, what ends a session, a link and the window."""

import asyncio
import json
import unittest

from firmware.gateway import provisioning
from firmware.lib import protobuf, protocomm, security1
from firmware.system import config
from tests.scratch import scratch
from tests.unit.window_rig import CONFIG, OWN, POP, SCAN, SESSION, VER, Client, Rig, wrong

PATH = scratch("window.json")
BSSID = b"\x02\0\0\0\0\x01"


def network(ssid, rssi_dbm, channel=6, auth=3):
    return ssid, BSSID, channel, rssi_dbm, auth, False


def wifi_config(ssid, password):
    return protobuf.octets(1, ssid) + protobuf.octets(2, password)


async def joined(rig, client, ssid, password):
    """(status of setting, status of applying, state, reason or None)."""
    statuses = []
    for kind, body in ((protocomm.SET_CONFIG, wifi_config(ssid, password)), (protocomm.APPLY_CONFIG, b"")):
        told, _ = client.wifi(CONFIG, kind, body)
        statuses.append(protobuf.number_in(protobuf.message(told), 1))
    between = protobuf.message(client.wifi(CONFIG, protocomm.GET_STATUS)[0])
    await rig.step()
    members = protobuf.message(client.wifi(CONFIG, protocomm.GET_STATUS)[0])
    return statuses, between.get(2, 0), members.get(2, 0), members.get(10)


class EndpointsTest(unittest.TestCase):
    def test_the_version_is_told_to_anybody(self):
        client = Client(Rig())
        told = json.loads(client.raw(VER, b"ESP").decode())
        self.assertEqual(told["prov"], {"ver": "v1.1", "sec_ver": 1, "cap": ["wifi_scan"]})
        self.assertEqual(told["gatehouse"]["id"], "240ac4a00000")

    def test_the_service_is_the_one_that_apps_look_for(self):
        rig = Rig()
        self.assertEqual(rig.server.service, "021a9004-0382-4aea-bff4-6b3f1c5adfb4")
        self.assertEqual(rig.server.table[1], ("prov-session", "021aff51-0382-4aea-bff4-6b3f1c5adfb4"))
        self.assertEqual(protocomm.device_name("dca453853972"), "PROV_723985")

    def test_nothing_is_answered_without_a_session(self):
        for place in (SCAN, CONFIG, OWN):
            client = Client(Rig())
            self.assertIsNone(client.raw(place, protocomm.encode_wifi(protocomm.GET_STATUS)))
            self.assertIsNone(client.raw(SESSION, client.hello()))

    def test_networks_come_in_pages_the_strongest_first_and_each_once(self):
        rig = Rig()
        rig.heard = [network(b"n%02d" % number, -40 - number) for number in range(30)]
        rig.heard += [network(b"n05", -20), network(b"", -10), network(b"\xff\xfe" * 16, -90)]
        client = Client(rig)
        self.assertTrue(client.shake())
        self.assertEqual(client.wifi(SCAN, protocomm.SCAN_START, protobuf.whole(1, 1)), (b"", 0))
        told = protobuf.message(client.wifi(SCAN, protocomm.SCAN_STATUS)[0])
        self.assertEqual((told[1], told[2]), (1, 20))
        names = []
        for first in range(0, 20, 4):
            body = protobuf.whole(1, first) + protobuf.whole(2, 4)
            told, _ = client.wifi(SCAN, protocomm.SCAN_RESULT, body)
            self.assertTrue(len(told) < protocomm.MAX_VALUE)
            names += [protobuf.message(entry)[1] for _, entry in protobuf.read(told)]
        self.assertEqual(names[:3], [b"n05", b"n00", b"n01"])
        self.assertEqual(len(set(names)), 20)
        entry = protobuf.message(protobuf.read(client.wifi(SCAN, protocomm.SCAN_RESULT, protobuf.whole(2, 1))[0])[0][1])
        self.assertEqual((entry[2], entry[3] - (1 << 64), entry[4], entry[5]), (6, -20, BSSID, 3))
        told, _ = client.wifi(SCAN, protocomm.SCAN_RESULT, protobuf.whole(1, 1 << 40) + protobuf.whole(2, 1 << 40))
        self.assertEqual(told, b"")
        told, _ = client.wifi(SCAN, protocomm.SCAN_RESULT, protobuf.whole(2, 1 << 40))
        self.assertTrue(len(told) < protocomm.MAX_VALUE)
        rig.is_deaf = True
        self.assertEqual(client.wifi(SCAN, protocomm.SCAN_START)[1], protocomm.INTERNAL_ERROR)

    def test_a_network_is_tried_and_kept_once_it_has_let_the_gateway_in(self):
        async def story():
            rig = Rig()
            client = Client(rig)
            self.assertTrue(client.shake())
            told = protobuf.message(client.wifi(CONFIG, protocomm.GET_STATUS)[0])
            self.assertEqual(told, {2: protocomm.DISCONNECTED})
            wanted = [0, 0], protocomm.CONNECTING, protocomm.FAILED, protocomm.AUTH_ERROR
            self.assertEqual(await joined(rig, client, b"home", b"wrongword"), wanted)
            self.assertEqual(rig.window.connection[:2], ("wifi_password", 1))
            wanted = [0, 0], protocomm.CONNECTING, protocomm.FAILED, protocomm.NETWORK_NOT_FOUND
            self.assertEqual(await joined(rig, client, b"away", b"password"), wanted)
            self.assertEqual(rig.console.kept, [])
            wanted = [0, 0], protocomm.CONNECTING, protocomm.CONNECTED, None
            self.assertEqual(await joined(rig, client, b"home", b"password"), wanted)
            members = protobuf.message(client.wifi(CONFIG, protocomm.GET_STATUS)[0])
            self.assertEqual(protobuf.message(members[11]), {1: b"192.168.1.9", 2: 3, 3: b"home", 5: 6})
            self.assertEqual(await joined(rig, client, b"open", b""), wanted)
            self.assertEqual(rig.console.kept, [("home", "password"), ("open", "")])
            rig.console.is_full = True
            wanted = [0, 0], protocomm.CONNECTING, protocomm.FAILED, protocomm.AUTH_ERROR
            self.assertEqual(await joined(rig, client, b"home", b"password"), wanted)

        asyncio.run(story())

    def test_what_no_network_has_is_refused_and_the_session_goes_on(self):
        rig = Rig()
        client = Client(rig)
        self.assertTrue(client.shake())
        refused = protobuf.whole(1, protocomm.INVALID_ARGUMENT)
        self.assertEqual(client.wifi(CONFIG, protocomm.APPLY_CONFIG)[0], refused)
        for ssid, password in (
            (b"", b""),
            (b"a" * 33, b""),
            (b"home", b"short"),
            (b"home", b"p" * 65),
            (b"\xff", b"password"),
            (b"home", b"\xc0\x80password"),
        ):
            self.assertEqual(client.wifi(CONFIG, protocomm.SET_CONFIG, wifi_config(ssid, password))[0], refused)
        self.assertEqual(client.wifi(CONFIG, protocomm.APPLY_CONFIG)[0], refused)
        self.assertEqual(client.wifi(CONFIG, protocomm.SET_CONFIG, wifi_config(b"home", b"password"))[0], b"")

    def test_our_own_endpoint_asks_the_console_in_parts_of_any_size(self):
        async def story():
            rig = Rig()
            client = Client(rig)
            self.assertTrue(client.shake())
            for size, part in ((0, 400), (0, 7), (3000, 100)):
                request = {"do": "set", "settings": {"name": "x" * 50}, "size": size}
                reply = await client.ask(request, part)
                self.assertEqual(reply, {"ok": True, "echo": request, "long": "x" * size})
            asked = len(rig.console.asked)
            for do in ("reset", "forget", "pop", "info", None, 5):
                reply = await client.ask({"do": do})
                self.assertEqual((reply["ok"], reply["code"]), (False, "bad_request"))
            self.assertEqual(len(rig.console.asked), asked)
            client.frame(0, b"[1]")
            await rig.step()
            self.assertIn(b"bad_request", client.frame(0)[1])

        asyncio.run(story())


class InterruptedTest(unittest.TestCase):
    """security.md R-25: a link that ends at each message leaves the settings whole or absent."""

    def test_settings_come_whole_or_not_at_all(self):
        given = {"wifi_ssid": "home", "mqtt_host": "broker", "insecure_broker": True, "name": "x" * 48}
        text = json.dumps({"do": "set", "settings": given}).encode()
        frames = [text[at : at + 30] for at in range(0, len(text), 30)]

        async def story(cut):
            console = provisioning.Provisioning("240ac4a00000", None, PATH)
            rig = Rig(300, console)
            client = Client(rig)
            self.assertTrue(client.shake())
            for place, part in enumerate(frames):
                if place == cut:
                    break
                client.frame(0 if part is frames[-1] else 1, part)
            if cut > len(frames):
                await rig.step()
            rig.server.leave()
            await rig.step()
            return config.read(PATH)

        outcomes = []
        for cut in range(len(frames) + 2):
            config.store.remove(PATH)
            outcomes.append(asyncio.run(story(cut)))
        config.store.remove(PATH)
        self.assertEqual(outcomes, [{}] * (len(frames) + 1) + [given])

    def test_two_who_provision_at_once_leave_the_settings_of_one(self):
        async def story():
            console = provisioning.Provisioning("240ac4a00000", None, PATH)
            client = Client(Rig(300, console))
            self.assertTrue(client.shake())
            first = {"wifi_ssid": "home", "mqtt_host": "first", "insecure_broker": True}
            await client.ask({"do": "set", "settings": first})
            console.handle({"do": "set", "settings": dict(first, mqtt_host="second", name="Hall")})
            client.frame(0, b'{"do":"set","settings":{"mqtt_port":"x"}}')
            await client.rig.step()
            self.assertIn(b"config", client.frame(0)[1])
            return config.read(PATH)

        config.store.remove(PATH)
        kept = asyncio.run(story())
        config.store.remove(PATH)
        self.assertEqual((kept["mqtt_host"], kept["name"]), ("second", "Hall"))


class EndsTest(unittest.TestCase):
    def test_an_altered_message_of_our_own_endpoint_ends_the_session(self):
        rig = Rig()
        accepted = 0
        for flip in range(8 * 36):
            client = Client(rig)
            self.assertTrue(client.shake())
            sealed = client.stream.take(client.macs.seal(security1.TO_DEVICE, b'\x00{"do":"hello","a":1}'))
            made = bytearray(sealed)
            made[flip // 8 % len(made)] ^= 1 << flip % 8
            if client.raw(OWN, bytes(made)) is not None:
                accepted += 1
            self.assertIsNone(client.raw(OWN, sealed))
            rig.server.leave()
        self.assertEqual((accepted, rig.console.asked), (0, []))

    def test_a_lost_or_repeated_message_ends_the_session(self):
        for is_lost in (True, False):
            rig = Rig()
            client = Client(rig)
            self.assertTrue(client.shake())
            first = client.stream.take(protocomm.encode_wifi(protocomm.GET_STATUS))
            if not is_lost:
                client.stream.take(client.raw(CONFIG, first))
                self.assertIsNone(client.raw(CONFIG, first))
            self.assertIsNone(client.send(CONFIG, protocomm.encode_wifi(protocomm.GET_STATUS)))
            self.assertIsNone(client.send(SCAN, protocomm.encode_wifi(protocomm.SCAN_START)))

    def test_a_recorded_session_is_worth_nothing_on_another_link(self):
        rig = Rig()
        client = Client(rig)
        hello = client.hello()
        proof = client.proof(client.raw(SESSION, hello))
        self.assertIsNotNone(client.raw(SESSION, proof))
        said = client.stream.take(protocomm.encode_wifi(protocomm.SCAN_START))
        rig.server.leave()
        other = Client(rig)
        other.raw(SESSION, hello)
        self.assertEqual(other.raw(SESSION, proof), security1.refusal())
        self.assertIsNone(other.raw(SCAN, said))

    def test_five_wrong_proofs_end_the_window_and_not_one_sooner(self):
        async def story():
            rig = Rig()
            for guess in range(5):
                self.assertFalse(rig.window.is_over())
                client = Client(rig, "abcdefgh2345678" + "cdefg"[guess])
                self.assertFalse(client.shake())
                self.assertIsNone(client.raw(SESSION, client.hello()))
                rig.server.leave()
            self.assertTrue(rig.window.is_over())

        asyncio.run(story())

    def test_garbage_opens_nothing_costs_no_guess_and_leaves_no_memory_behind(self):
        rig = Rig()
        client = Client(rig)
        hello = client.hello()
        for place in (SESSION, SCAN, CONFIG, OWN):
            for octets in [b"", b"\x00" * 512, b"\xff" * 512] + list(wrong(hello))[:200]:
                self.assertIsNone(client.raw(place, octets)) if place != SESSION else client.raw(place, octets)
                rig.server.leave()
                client = Client(rig)
        self.assertFalse(rig.window.is_over())
        self.assertEqual((rig.console.asked, rig.console.kept), ([], []))
        self.assertTrue(client.shake())

    def test_a_request_without_an_end_ends_the_session(self):
        rig = Rig()
        client = Client(rig)
        self.assertTrue(client.shake())
        answers = 0
        while client.frame(protocomm.MORE, b"x" * 400) is not None:
            answers += 1
        self.assertEqual(answers, 10)

    def test_the_window_lasts_while_a_session_is_open_and_ends_by_time_else(self):
        async def story():
            rig = Rig(0)
            self.assertTrue(rig.window.is_over())
            client = Client(rig)
            self.assertTrue(rig.window.is_over())
            self.assertTrue(client.shake())
            self.assertFalse(rig.window.is_over())
            client.wifi(CONFIG, protocomm.GET_STATUS)  # a minute more
            rig.server.leave()
            self.assertFalse(rig.window.is_over())
            self.assertEqual(rig.words, [])
            await rig.step()
            self.assertEqual((rig.words, rig.server.adverts), (["unprovisioned"], 1))
            Client(rig, POP)
            await rig.step()
            self.assertEqual(rig.words[-1], "provisioning")

        asyncio.run(story())


if __name__ == "__main__":
    unittest.main()
