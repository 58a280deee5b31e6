"""Certificates for tests, right and wrong in every way, and TLS servers that show them."""

import contextlib
import datetime
import ipaddress
import socket
import ssl
import threading
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from host_tools.gateway import certificates

Signed = tuple[ec.EllipticCurvePrivateKey, x509.Certificate]
HERE = "127.0.0.1"
# What a broker shows -> the code with which everybody leaves it; `right` is the one that serves
CASES = {
    "right": "",
    "other_authority": "tls_authority",
    "same_name_authority": "tls_authority",
    "self_signed": "tls_authority",
    "other_name": "tls_name",
    "other_address": "tls_name",
    "expired": "tls_time",
    "not_yet": "tls_time",
    "sni_alert": "tls_name",
    "sni_default": "tls_name",
    "client_purpose": "tls_authority",
    "no_authority": "tls_authority",
    "tls_1_1": "tls_none",
    "plain": "tls_none",
    "silent_close": "tls_none",
    "wants_client": "tls_client",
}


# What a gateway says where it cannot tell what kind of refusal came
GATEWAY = CASES | {"sni_alert": "tls_client"}


def issue(
    name: str,
    signer: Signed | None = None,
    hosts: tuple[str, ...] = (),
    days: tuple[int, int] = (-1, 1),
    purpose: x509.ObjectIdentifier | None = None,
) -> Signed:
    """A certificate of an authority, or one for `hosts` when there is a signer; `purpose`, where it is for one only."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(signer[1].subject if signer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + datetime.timedelta(days=days[0]))
        .not_valid_after(now + datetime.timedelta(days=days[1]))
        .add_extension(x509.BasicConstraints(signer is None, None), True)
    )
    if hosts:
        builder = builder.add_extension(x509.SubjectAlternativeName([_general(host) for host in hosts]), False)
    if purpose:
        builder = builder.add_extension(x509.ExtendedKeyUsage([purpose]), False)
    return key, builder.sign(signer[0] if signer else key, hashes.SHA256())


def _general(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def write(folder: Path, name: str, signed: Signed) -> tuple[Path, Path]:
    """(certificate, key), both PEM; beside them both as DER."""
    key, certificate = signed
    forms = {"pem": (certificates.pem, certificates.key_pem), "der": (certificates.der, certificates.key_der)}
    for form, (of_certificate, of_key) in forms.items():
        (folder / ("%s.%s" % (name, form))).write_bytes(of_certificate(certificate))
        (folder / ("%s-key.%s" % (name, form))).write_bytes(of_key(key))
    return folder / (name + ".pem"), folder / (name + "-key.pem")


class Server:
    """Shows what `case` of `CASES` says and hands each connection to `serve(stream)`; `heard` is all that came over
    TLS, or in clear where there is none."""

    def __init__(self, case: str, folder: Path, authority: Signed) -> None:
        self.case = case
        self.heard = bytearray()
        self._context = _context(case, folder, authority)
        self._listener = socket.create_server((HERE, 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        while True:
            try:
                peer, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._one, args=(peer,), daemon=True).start()

    def _one(self, peer: socket.socket) -> None:
        peer.settimeout(20)
        with contextlib.suppress(OSError), peer:
            if self.case == "silent_close":
                peer.recv(4096)
                return
            if self._context is None:
                self.heard += peer.recv(4096)
                return
            with self._context.wrap_socket(peer, server_side=True) as stream:
                while part := stream.recv(4096):
                    self.heard += part
                    if part[0] == 0x10:
                        stream.sendall(b"\x20\x02\x00\x00")
                    elif part[0] == 0x82:
                        stream.sendall(b"\x90\x04" + part[2:4] + b"\x01\x01")  # to two filters

    def close(self) -> None:
        self._listener.close()


def _other_than_default(folder: Path, authority: Signed):
    """Shows the right certificate to who asks for the name that the broker is not called by."""
    right = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    right.load_cert_chain(*write(folder, "server-right-name", issue("broker", authority, ("wrong.example",))))

    def choose(stream, name, _context):
        if name == "wrong.example":
            stream.context = right

    return choose


def _context(case: str, folder: Path, authority: Signed) -> ssl.SSLContext | None:
    if case in ("plain", "silent_close"):
        return None
    wrong = ("wrong.example",)
    hosts = {"other_name": wrong, "sni_default": wrong, "other_address": ("127.0.0.2",)}.get(case, (HERE, "localhost"))
    days = {"expired": (-3, -1), "not_yet": (1, 3)}.get(case, (-1, 1))
    signer = {
        "other_authority": issue("other"),
        "same_name_authority": issue("authority"),
        "self_signed": None,
        "no_authority": issue("240ac4a00000", authority, purpose=ExtendedKeyUsageOID.CLIENT_AUTH),
    }.get(case, authority)
    purpose = ExtendedKeyUsageOID.CLIENT_AUTH if case == "client_purpose" else None
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    files = write(folder, "server-" + case, issue("broker", signer, hosts, days, purpose))
    if case == "no_authority":  # who has an identity makes certificates with it, and shows the whole chain
        assert signer
        files[0].write_bytes(files[0].read_bytes() + certificates.pem(signer[1]))
    made.load_cert_chain(*files)
    if case == "sni_alert":
        made.sni_callback = lambda *_: ssl.ALERT_DESCRIPTION_UNRECOGNIZED_NAME
    if case == "sni_default":
        made.sni_callback = _other_than_default(folder, authority)
    if case == "tls_1_1":
        made.minimum_version, made.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1
        made.set_ciphers("ALL:@SECLEVEL=0")
    if case == "wants_client":
        made.load_verify_locations(cadata=certificates.pem(authority[1]).decode())
        made.verify_mode = ssl.CERT_REQUIRED
    return made
