"""Espressif's messages as their own definitions have them (the classes that protoc made, in esp-protocomm), and its
client's handshake with the firmware's end."""

import os

import pytest
from esp_protocomm.proto import session_pb2, wifi_config_pb2, wifi_scan_pb2
from esp_protocomm.security1 import Security1, SecurityError
from hypothesis import given
from hypothesis import strategies as st

from firmware.lib import protobuf, protocomm, security1, x25519
from firmware.lib.errors import FirmwareError, ProtocolError

NUMBERS = st.integers(1, (1 << 29) - 1)
VALUES = st.one_of(st.integers(0, (1 << 64) - 1), st.binary(max_size=300))
FIELDS = st.lists(st.tuples(NUMBERS, VALUES), max_size=8)
SSIDS = st.binary(min_size=1, max_size=32)
PASSWORDS = st.binary(max_size=64)


def encoded(fields):
    kinds = {int: protobuf.whole, bytes: protobuf.octets}
    return b"".join(kinds[type(value)](number, value) for number, value in fields)


@given(FIELDS)
def test_what_is_written_is_read_again(fields):
    assert protobuf.read(encoded(fields)) == fields
    numbers = [number for number, _ in fields]
    if len(set(numbers)) == len(numbers):
        assert protobuf.message(encoded(fields)) == dict(fields)
    else:
        with pytest.raises(ProtocolError):
            protobuf.message(encoded(fields))


@given(st.binary(max_size=200))
def test_garbage_is_read_or_refused_and_nothing_else(octets):
    for decode in (protobuf.read, protobuf.message, protocomm.decode_session, protocomm.decode_wifi):
        try:
            decode(octets)
        except ProtocolError:
            pass


@given(FIELDS, st.data())
def test_what_is_cut_off_is_refused_or_another_message(fields, data):
    whole = encoded(fields)
    cut = data.draw(st.integers(0, len(whole)))
    try:
        assert protobuf.read(whole[:cut]) == fields[: len(protobuf.read(whole[:cut]))]
    except ProtocolError:
        pass


@given(st.binary(min_size=32, max_size=32), st.binary(min_size=16, max_size=16))
def test_the_handshake_is_espressifs(key, start):
    theirs = session_pb2.SessionData()
    theirs.sec_ver = session_pb2.SecScheme1
    theirs.sec1.sc0.client_pubkey = key
    assert protocomm.decode_session(theirs.SerializeToString()) == (protocomm.COMMAND0, {1: key})
    body = protobuf.octets(2, key) + protobuf.octets(3, start)
    theirs.ParseFromString(protocomm.encode_session(protocomm.RESPONSE0, body))
    assert (theirs.sec1.sr0.device_pubkey, theirs.sec1.sr0.device_random, theirs.sec1.msg) == (key, start, 1)


@given(SSIDS, PASSWORDS)
def test_a_configuration_is_espressifs(ssid, password):
    theirs = wifi_config_pb2.WiFiConfigPayload()
    theirs.msg = wifi_config_pb2.TypeCmdSetConfig
    theirs.cmd_set_config.ssid, theirs.cmd_set_config.passphrase = ssid, password
    kind, members = protocomm.decode_wifi(theirs.SerializeToString())
    assert (kind, protocomm.decode_config(members)) == (protocomm.SET_CONFIG, (ssid, password))


@pytest.mark.parametrize("reason", [protocomm.AUTH_ERROR, protocomm.NETWORK_NOT_FOUND])
def test_a_failure_is_told_with_its_reason(reason):
    theirs = wifi_config_pb2.WiFiConfigPayload()
    body = protocomm.state_body(protocomm.FAILED, reason)
    theirs.ParseFromString(protocomm.encode_wifi(protocomm.GET_STATUS + 1, body))
    answer = theirs.resp_get_status
    assert (theirs.msg, answer.sta_state, answer.fail_reason) == (wifi_config_pb2.TypeRespGetStatus, 3, reason)
    assert answer.WhichOneof("state") == "fail_reason"


@given(SSIDS, st.integers(1, 14), st.integers(-120, 0), st.binary(min_size=6, max_size=6), st.integers(0, 7))
def test_networks_and_a_connection_are_espressifs(ssid, channel, rssi_dbm, bssid, auth):
    theirs = wifi_scan_pb2.WiFiScanPayload()
    body = protocomm.network_body(ssid, channel, rssi_dbm, bssid, auth) * 2
    theirs.ParseFromString(protocomm.encode_wifi(protocomm.SCAN_RESULT + 1, body, protocomm.INTERNAL_ERROR))
    assert theirs.status == protocomm.INTERNAL_ERROR
    for entry in theirs.resp_scan_result.entries:
        assert (entry.ssid, entry.channel, entry.rssi, entry.bssid, entry.auth) == (
            ssid,
            channel,
            rssi_dbm,
            bssid,
            auth,
        )
    other = wifi_config_pb2.WiFiConfigPayload()
    told = protocomm.state_body(
        protocomm.CONNECTED, connected=protocomm.connected_body("10.0.0.2", auth, ssid, channel)
    )
    other.ParseFromString(protocomm.encode_wifi(protocomm.GET_STATUS + 1, told))
    assert other.resp_get_status.connected.ip4_addr == "10.0.0.2"
    assert other.resp_get_status.connected.ssid == ssid


def session(pop):
    secret = os.urandom(32)
    return security1.Session(pop, (secret, x25519.public_key(secret)), os.urandom(16))


@given(st.text(min_size=1, max_size=20))
def test_the_client_by_others_gets_a_session(pop):
    ours, theirs = session(pop.encode()), Security1(pop)
    theirs.handle_setup0_response(ours.handshake(theirs.setup0_request()))
    theirs.handle_setup1_response(ours.handshake(theirs.setup1_request()))
    for size in (0, 1, 100):
        assert ours.crypt(theirs.encrypt(b"x" * size)) == b"x" * size
        assert theirs.decrypt(ours.crypt(b"y" * size)) == b"y" * size


def test_the_client_by_others_is_told_of_a_wrong_proof():
    ours, theirs = session(b"right"), Security1("wrong")
    theirs.handle_setup0_response(ours.handshake(theirs.setup0_request()))
    with pytest.raises(FirmwareError):
        ours.handshake(theirs.setup1_request())
    with pytest.raises(SecurityError):
        theirs.handle_setup1_response(security1.refusal())
