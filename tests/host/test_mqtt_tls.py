"""`net/mqtt` on MicroPython over TLS: the owner's authority and the broker's name count (security.md TLS-1, TLS-3)."""

import datetime
import json
import os
import socket
import ssl
import subprocess
import threading
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from firmware.lib import mqtt_packet
from host_tools.boards import frozen
from host_tools.boards.debian import Unavailable
from tests.micropython import LIBRARY, ROOT, interpreter

Signed = tuple[ec.EllipticCurvePrivateKey, x509.Certificate]


def certificate(name: str, signer: Signed | None = None) -> Signed:
    """A certificate of an authority, or one for host `name` when there is a signer."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(signer[1].subject if signer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.BasicConstraints(signer is None, None), True)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), False)
    )
    return key, builder.sign(signer[0] if signer else key, hashes.SHA256())


class TlsBroker:
    """Answers CONNECT and SUBSCRIBE, sends one message of 1 KiB in one TLS record, then only reads."""

    def __init__(self, key: ec.EllipticCurvePrivateKey, chain: x509.Certificate, directory: Path) -> None:
        path = directory / "server.pem"
        secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        path.write_bytes(chain.public_bytes(Encoding.PEM) + secret)
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(path)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.heard: list[bytes] = []
        self.acknowledged = threading.Event()
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                peer, _ = self._listener.accept()
            except OSError:
                return
            try:
                with self._context.wrap_socket(peer, server_side=True) as stream:
                    self.heard.append(stream.recv(2048))
                    stream.sendall(b"\x20\x02\x00\x00")
                    subscribe = stream.recv(2048)
                    stream.sendall(b"\x90\x04" + subscribe[2:4] + b"\x01\x01")
                    stream.sendall(mqtt_packet.encode_publish("t/in/long", bytes(1024), qos=1, pid=9))
                    while part := stream.recv(2048):
                        self.heard.append(part)
                        if mqtt_packet.encode_ack(9) in b"".join(self.heard):
                            self.acknowledged.set()
            except OSError:
                continue

    def close(self) -> None:
        self._listener.close()


def run_board(broker: TlsBroker, authority: x509.Certificate, directory: Path, on: str | None = None) -> str:
    """What the client prints until it has acknowledged the message, or has given up its first connection."""
    path = directory / "ca.der"
    path.write_bytes(authority.public_bytes(Encoding.DER))
    env = dict(os.environ, MICROPYPATH="%s:%s:.frozen" % (ROOT, LIBRARY), HOW=json.dumps({"ca": str(path)}))
    command = [
        on or interpreter(),
        str(ROOT / "tests/host/boards/mqtt_client.py"),
        str(broker.port),
        "30",
        "0",
    ]
    client = subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert client.stdout
    printed = ""
    for line in client.stdout:
        printed += line
        if "MESSAGE" in line:
            assert broker.acknowledged.wait(60)
        if "MESSAGE" in line or "disconnected" in line:
            break
    else:
        raise AssertionError("the client ended by itself: " + printed)
    client.kill()
    client.wait()
    client.stdout.close()
    return printed


@pytest.mark.parametrize("case", ["right", "other_authority", "other_name"])
def test_only_the_right_broker_is_talked_to(case: str, tmp_path: Path) -> None:
    authority = certificate("authority")
    broker = TlsBroker(*certificate("wrong.example" if case == "other_name" else "localhost", authority), tmp_path)
    trusted = certificate("authority")[1] if case == "other_authority" else authority[1]
    out = run_board(broker, trusted, tmp_path)
    broker.close()
    if case == "right":
        assert "MESSAGE t/in/long 1024" in out
        assert broker.heard[0][0] == 0x10
        assert broker.acknowledged.is_set()
    else:
        assert "UP" not in out
        assert "disconnected" in out
        assert not broker.heard


def test_a_build_without_tls_says_so(tmp_path: Path) -> None:
    try:
        frozen.build()
    except Unavailable as err:
        pytest.skip(str(err))
    authority = certificate("authority")
    broker = TlsBroker(*certificate("localhost", authority), tmp_path)
    out = run_board(broker, authority[1], tmp_path, str(frozen.interpreter("gateway")))
    broker.close()
    assert "this build has no TLS" in out
    assert not broker.heard
