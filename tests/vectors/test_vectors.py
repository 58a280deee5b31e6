"""Every vector of both files, by kind, on both interpreters. A vector that is left out stands in a table here."""

import unittest

from firmware.lib import advert, crypto, frame, opcodes, records
from firmware.lib.errors import BadRequest, ProtocolError
from firmware.lib.frame import Reassembler
from firmware.lib.messages import (
    card_client,
    common,
    fingerprint_client,
    passcode_client,
    session_client,
    session_lock,
    settings_client,
)
from firmware.lock import authority
from tests.vectors import vectors

COUNTS = {
    "vectors-link.json": {
        "crc": 11,
        "aes": 7,
        "codec": 6,
        "advertisement": 23,
        "request": 42,
        "response": 103,
        "push": 4,
        "frame_only": 10,
        "payload_only": 8,
        "legacy": 1,
        "reassembly": 4,
    },
    "vectors-commands.json": {"credential": 7, "request": 93, "response": 89, "frame_only": 2, "unsendable": 1},
}
HOST_ONLY = ("codec", "credential")  # tests/host/test_bundle_codec.py
NOT_REBUILT = {  # decoded by both ends, but our client or lock writes it differently, on purpose
    "req_get_aes_key_vendor_token": "our client sends SCIENER; the lock ignores the content",
    "req_check_user_time_bcd": "our client sends the decimal form",
    "req_check_user_time_bcd_scene2": "our client sends the decimal form",
    "cap_req_check_user_time_vendor_app": "the vendor app's way to say always; our client has another",
    "k_passcode_add_permanent": "five zero bytes of one client, accepted and not sent",
    "k_passcode_add_permanent_defaults": "five zero bytes of one client, accepted and not sent",
    "rsp_check_random": "without the battery that real locks send; ours sends it",
    "rsp_time_calibrate": "without the battery that real locks send; ours sends it",
    "rsp_unlock_short": "our lock sends the full form",
    "push_unlock_echo": "our lock sends the full form",
    "push_battery_only_6byte": "layout that only carries a battery level; our lock never sends it",
    "rsp_auto_lock": "without the last byte that real locks send; ours sends it",
    "log_two_records": "our lock sends one record per page",
    "r_passcode_list_two_in_page": "our lock sends one entry per page",
    "r_ic_add_success_padded": "our lock does not fill numbers up",
    "r_fr_progress": "our lock says how many presses are done, of how many",
    "r_switch_bits_5": "the low byte alone; our lock sends operation and all 32 bits behind it",
    "x_face_progress": "our lock says how many presses are done, of how many",
}
REFUSED = {  # requests that our lock refuses, with the error byte
    "t_passcode_add_circle_two_dates": 0x1D,
    "k_ic_delete_8byte_empty_frame": 0x17,
}
NOT_DECODED = {  # answers that our client refuses
    "rsp_add_admin_wrong_vendor": "not the fixed word, which means failure",
    "cap_rsp_init_empty": "empty payload: the link takes it for the answer to 0x45 (lock-ble-link.md 8.3)",
    "rsp_reset_empty": "empty payload: the link takes it for 0x52 before it looks at it (lock-ble-link.md 8.11)",
}


def all_vectors(*kinds):
    """(vector) of these kinds in both files."""
    for name in sorted(COUNTS):
        for vector in vectors.load(name):
            if vector["kind"] in kinds:
                yield vector


class Vectors(unittest.TestCase):
    def test_every_vector_has_a_handler(self):
        here = ("crc", "aes", "advertisement", "request", "response", "push", "frame_only", "payload_only")
        handled = here + ("legacy", "reassembly", "unsendable") + HOST_ONLY
        for name in COUNTS:
            found = {}
            for vector in vectors.load(name):
                self.assertTrue(vector["kind"] in handled, vector["name"])
                found[vector["kind"]] = found.get(vector["kind"], 0) + 1
            self.assertEqual(found, COUNTS[name])

    def test_names_in_the_tables_exist(self):
        names = [vector["name"] for vector in all_vectors("request", "response", "push")]
        for table in (NOT_REBUILT, REFUSED, NOT_DECODED):
            for name in table:
                self.assertTrue(name in names, name)

    def test_crc(self):
        for vector in all_vectors("crc"):
            if "table" in vector:
                table = vectors.octets(vector["table"])
                sums = frame.crc_vendor if vector["name"] == "crc_table_vendor" else frame.crc_standard
                self.assertEqual(bytes(sums(bytes((place,))) for place in range(256)), table, vector["name"])
                continue
            data = vectors.octets(vector["data"])
            self.assertEqual("%02x" % frame.crc_standard(data), vector["crc_standard"], vector["name"])
            self.assertEqual("%02x" % frame.crc_vendor(data), vector["crc_vendor"], vector["name"])

    def test_aes(self):
        for vector in all_vectors("aes"):
            key, plain = vectors.octets(vector["key"]), vectors.octets(vector["plaintext"])
            cipher = vectors.octets(vector["ciphertext"])
            self.assertEqual(crypto.encrypt(key, plain), cipher, vector["name"])
            self.assertEqual(crypto.decrypt(key, cipher), plain, vector["name"])

    def test_frames_are_rebuilt_byte_for_byte(self):
        for vector in all_vectors("request", "response", "push", "frame_only"):
            name, raw, header = vector["name"], vectors.octets(vector["wire"]), vector["header"]
            found = frame.decode(raw)
            self.assertEqual(raw[-3], int(vector["crc_on_wire"], 16), name)
            self.assertEqual(frame.tables_differ(raw), not vector["crc_tables_agree"], name)
            shown = (found.protocol, found.version, found.scene, found.group, found.org, "%02x" % found.command)
            wanted = tuple(header[key] for key in ("protocol_type", "protocol_version", "scene", "group_id", "org_id"))
            self.assertEqual(shown, wanted + (header["command"],), name)
            payload = found.payload
            if vector["key"] and header["length"]:
                key = vectors.octets(vector["key"])
                self.assertEqual(crypto.decrypt(key, payload), vectors.octets(vector["plaintext"]), name)
                payload = crypto.encrypt(key, vectors.octets(vector["plaintext"]))
            vendor = vector["crc_on_wire"] == vector["crc_vendor"]
            rebuilt = frame.encode(
                found.command, payload, *shown[2:5], vendor=vendor, protocol=shown[0], version=shown[1]
            )
            self.assertEqual(rebuilt, raw, name)

    def test_requests_from_both_ends(self):
        tried = 0
        for vector in all_vectors("request"):
            tried += 1
            name, plain = vector["name"], vectors.octets(vector["plaintext"])
            if name in REFUSED:
                self.assertEqual(refusal(int(vector["command"], 16), plain), REFUSED[name], name)
                continue
            built = vectors.client_request(int(vector["command"], 16), plain)
            if name not in NOT_REBUILT:
                self.assertEqual(built, plain, name)
        self.assertEqual(tried, 42 + 93)

    def test_answers_from_both_ends(self):
        tried = 0
        for vector in all_vectors("response", "push"):
            tried += 1
            name, plain = vector["name"], vectors.octets(vector["plaintext"])
            if name in NOT_DECODED:
                with self.assertRaises(ProtocolError):
                    vectors.lock_answer(int(vector["command"], 16), plain)
                continue
            if name in NOT_REBUILT:
                self.assertTrue(common.reply(plain)[1], name)
                self.assertTrue(decode_unbuilt(name, common.reply(plain)[2]), name)
                continue
            self.assertEqual(vectors.lock_answer(int(vector["command"], 16), plain), plain, name)
        self.assertEqual(tried, 103 + 89 + 4)

    def test_captured_payloads_decode(self):
        for vector in all_vectors("payload_only"):
            plain = vectors.octets(vector["plaintext"])
            self.assertEqual(vectors.lock_answer(int(vector["command"], 16), plain), plain, vector["name"])
            if vector["command"] == "01":
                mask = session_client.features(plain[2:])[1]
                bits = [bit for bit in range(128) if mask >> bit & 1]
                self.assertEqual(bits, vector["decoded"].get("features", bits), vector["name"])

    def test_values_of_requests(self):
        for vector in all_vectors("request"):
            decoded, plain = vector.get("decoded") or {}, vectors.octets(vector["plaintext"])
            if vector["command"] == "41":
                wanted = tuple(decoded[key] for key in ("adminPs", "lockFlagPos", "uid"))
                self.assertEqual(session_lock.decode_check_admin(plain), wanted)
            if vector["command"] == "30":
                total = session_lock.decode_sum(plain)
                self.assertEqual((total - decoded["psFromLock"]) & 0xFFFFFFFF, decoded["unlockKey"])
                sent = session_client.check_random(decoded["psFromLock"], decoded["unlockKey"])
                self.assertEqual(sent, plain)
            if vector["command"] == "55" and decoded.get("start") == "0001311400":
                self.assertEqual(session_lock.decode_check_user(plain)[:2], (None, None))
            if vector["name"] == "cap_req_check_user_time_vendor_app":
                wanted = (None, None, decoded["lockFlagPos"], decoded["uid"])
                self.assertEqual(session_lock.decode_check_user(plain), wanted)

    def test_log_records_as_other_clients_read_them(self):
        tried = 0
        for vector in all_vectors("response"):
            entries = ((vector.get("peers") or {}).get("py") or {}).get("entries")
            if vector["command"] != "25" or not entries:
                continue
            raws = session_client.log_page(vectors.octets(vector["plaintext"])[2:])[1]
            self.assertEqual(len(raws), len(entries), vector["name"])
            for place, raw in enumerate(raws):
                tried += 1
                entry, record = entries[place], records.decode(raw)
                found = records.fields(record)
                self.assertEqual((record.type, record.battery), (entry["record_type"], entry["lock_battery"]))
                self.assertEqual(record.date, (2026, 5, 11, 14, 23, 7))
                for ours, theirs in (("uid", "uid"), ("record_id", "record_id"), ("key", "key_id")):
                    if theirs in entry:
                        self.assertEqual(found[ours], entry[theirs], vector["name"])
                if "code" in found:
                    self.assertEqual(found["code"], entry["password"], vector["name"])
                    masked = records.fields(records.decode(records.mask(raw)))
                    self.assertEqual(masked["code"], "*" * len(found["code"]), vector["name"])
        self.assertTrue(tried >= 60, "%d" % tried)

    def test_advertisements(self):
        for vector in all_vectors("advertisement"):
            name, data = vector["name"], vectors.octets(vector["manufacturer_data"])
            found = advert.decode_manufacturer(data)
            theirs = vector["peers"].get("py")
            if theirs is None and vector.get("decoded"):
                shown = (found.protocol, found.version, found.scene, found.flags, found.battery)
                wanted = vector["decoded"]
                keys = ("protocol_type", "protocol_version", "scene", "flags", "battery")
                self.assertEqual(shown, tuple(wanted[key] for key in keys), name)
                self.assertEqual((found.is_dormant, found.unlocked), (True, None), name)
                self.assertEqual(found.address, vectors.octets(wanted["lock_mac"].replace(":", "")), name)
                continue
            if theirs is None:
                self.assertTrue(found is None or not found.is_stated, name)
                continue
            address = ":".join("%02X" % octet for octet in found.address)
            bolt = found.flags & advert.UNLOCKED  # what they read, also of a dormant lock (hardware-facts.md F1)
            self.assertEqual(found.unlocked, None if found.is_dormant else bool(bolt), name)
            shown = (found.protocol, found.version, found.scene, bolt, found.has_records, found.settable)
            keys = ("protocol_type", "protocol_version", "scene", "lock_state", "has_new_records", "is_setting_mode")
            self.assertEqual(shown, tuple(theirs[key] for key in keys), name)
            self.assertEqual((found.battery, address), (theirs["battery"], theirs["lock_mac"]), name)
            if data[:2] == b"\x05\x03":
                built = advert.encode_manufacturer(found.address, found.scene, found.flags, found.battery)
                self.assertEqual(built, data, name)

    def test_reassembly_and_legacy_envelope(self):
        for vector in all_vectors("reassembly"):
            parts = Reassembler()
            frames = []
            for chunk in vector["chunks"]:
                frames += parts.feed(vectors.octets(chunk))
            key = vectors.octets(vector["key"])
            plains = [crypto.decrypt(key, frame.decode(raw).payload) for raw in frames]
            self.assertEqual(plains, [vectors.octets(text) for text in vector["peers"]["py"]["plaintext"]])
            if vector["name"] == "reassembly_chunk_ends_crlf_shaped":
                shaped = list(frame.chunks(vectors.octets(vector["wire"]), shaped=True))
                self.assertEqual(shaped, [vectors.octets(chunk) for chunk in vector["chunks"]])
        for vector in all_vectors("legacy"):
            parts = Reassembler()
            good = frame.encode(0x14, b"")
            self.assertEqual(parts.feed(vectors.octets(vector["wire"]) + good), [good])


def refusal(command, plain):
    """The error byte for a request of an administrator that our lock refuses, or None."""
    if not plain:
        return authority.refusal(command, 0, authority.Standing(authority.PAIRED, s3_age_ms=0), 0xFF)
    try:
        vectors.client_request(command, plain)
    except BadRequest as err:
        return err.ble
    return None


def decode_unbuilt(name, data):
    """Client's reading of the answers that our lock writes differently."""
    if name == "log_two_records":
        return len(session_client.log_page(data)[1]) == 2
    if name == "r_passcode_list_two_in_page":
        return len(passcode_client.page(data)[1]) == 2
    if name == "r_ic_add_success_padded":
        return card_client.added(data) == b"\xde\xad\xbe\xef"
    if name in ("r_fr_progress", "x_face_progress"):
        return fingerprint_client.added(data) == (fingerprint_client.PRESSED, None, None, None)
    if name == "rsp_auto_lock":
        return settings_client.auto_lock(data) == (100, 5, 5, 900)
    if name == "r_switch_bits_5":
        return settings_client.switches(data) == 5
    if name in ("rsp_check_random", "rsp_time_calibrate"):
        return data == b""
    if name == "rsp_unlock_short":
        return session_client.operated(data) == (42, None, None, None)
    if name == "push_unlock_echo":
        return session_client.pushed(opcodes.UNLOCK, data) == ("battery", 42)
    return session_client.pushed(opcodes.STATUS, data) == ("battery", 44)
