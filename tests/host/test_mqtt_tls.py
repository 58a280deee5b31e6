"""`net/mqtt` on MicroPython over TLS: who is not the owner's broker hears no word of MQTT, and the log says why
(security.md TLS-1, TLS-3, T-TLS-1)."""

import json
import os
import socket
import ssl
import subprocess
import threading
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from firmware.lib import mqtt_packet
from host_tools.boards import frozen
from host_tools.boards.debian import Unavailable
from tests.host import pki
from tests.micropython import LIBRARY, ROOT, interpreter


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


def run_board(
    broker: TlsBroker | pki.Server,
    authority: x509.Certificate,
    directory: Path,
    on: str | None = None,
    **how: str,
) -> str:
    """What the client prints until it has acknowledged the message or is up, or has given up its first connection."""
    path = directory / "ca.der"
    path.write_bytes(authority.public_bytes(Encoding.DER))
    env = dict(os.environ, MICROPYPATH="%s:%s:.frozen" % (ROOT, LIBRARY), HOW=json.dumps({"ca": str(path)} | how))
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
        has_message = line.startswith("MESSAGE")  # which mbedtls's names of errors hold, too
        if has_message:
            assert isinstance(broker, TlsBroker) and broker.acknowledged.wait(60)
        if has_message or "disconnected" in line or ("UP" in line and isinstance(broker, pki.Server)):
            break
    else:
        raise AssertionError("the client ended by itself: " + printed)
    client.kill()
    client.wait()
    client.stdout.close()
    return printed


def test_a_long_message_in_one_record_arrives(tmp_path: Path) -> None:
    authority = pki.issue("authority")
    broker = TlsBroker(*pki.issue("broker", authority, ("localhost",)), tmp_path)
    out = run_board(broker, authority[1], tmp_path)
    broker.close()
    assert "MESSAGE t/in/long 1024" in out
    assert broker.heard[0][0] == 0x10
    assert broker.acknowledged.is_set()


@pytest.mark.parametrize("host", ["localhost", pki.HERE])
@pytest.mark.parametrize("case", pki.CASES)
def test_only_the_right_broker_is_talked_to(case: str, host: str, tmp_path: Path) -> None:
    authority = pki.issue("authority")
    server = pki.Server(case, tmp_path, authority)
    out = run_board(server, authority[1], tmp_path, host=host)
    server.close()
    if case == "right":
        assert "UP" in out and server.heard[0] == 0x10
        return
    assert "UP" not in out
    assert "step=%s " % pki.GATEWAY[case] in out
    assert not server.heard or server.heard[0] == 0x16  # a ClientHello, in clear as it has to be


@pytest.mark.parametrize("name, step", [("client", ""), ("alien", "tls_client")])
def test_the_gateway_proves_who_it_is(name: str, step: str, tmp_path: Path) -> None:
    authority = pki.issue("authority")
    server = pki.Server("wants_client", tmp_path, authority)
    pki.write(tmp_path, "client", pki.issue("240ac4a00000", authority))
    pki.write(tmp_path, "alien", pki.issue("240ac4a00000", pki.issue("authority")))
    files = {"cert": str(tmp_path / (name + ".der")), "key": str(tmp_path / (name + "-key.der"))}
    out = run_board(server, authority[1], tmp_path, host=pki.HERE, **files)
    server.close()
    assert ("step=%s " % step in out and not server.heard) if step else "UP" in out


def test_a_build_without_tls_says_so(tmp_path: Path) -> None:
    try:
        frozen.build()
    except Unavailable as err:
        pytest.skip(str(err))
    authority = pki.issue("authority")
    broker = TlsBroker(*pki.issue("broker", authority, ("localhost",)), tmp_path)
    out = run_board(broker, authority[1], tmp_path, str(frozen.interpreter("gateway")))
    broker.close()
    assert "this build has no TLS" in out
    assert not broker.heard
