"""Certificates and keys as files: PEM or DER in, the form that is needed out.

Owns reading them and what is wrong with such a file. Leaves issuing to `authority`, connecting to `tls`.
"""

from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from host_tools.errors import HostError

Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
_MAX_BYTES = 1 << 20


def read_file(path: str | Path, what: str) -> bytes:
    """HostError: `io` for what cannot be read, `config` for what is too long."""
    try:
        with open(path, "rb") as file:
            raw = file.read(_MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        raise HostError("io", "cannot read %s %s: %s" % (what, path, getattr(error, "strerror", None) or error))
    if len(raw) > _MAX_BYTES:
        raise HostError("config", "%s %s is too long to be one" % (what, path))
    return raw


def certificates(path: str | Path, what: str = "the certificate") -> list[x509.Certificate]:
    """All certificates of a file, PEM (one or more) or DER (one). HostError `config` when there is none."""
    raw = read_file(path, what)
    try:
        found = x509.load_pem_x509_certificates(raw) if b"-----BEGIN" in raw else [x509.load_der_x509_certificate(raw)]
    except (ValueError, UnsupportedAlgorithm):
        found = []
    if not found:
        raise HostError("config", "%s %s holds no certificate" % (what, path), "give a PEM or a DER file")
    return found


def private_key(path: str | Path, of: x509.Certificate | None = None) -> Key:
    """The key of a file, PEM or DER. HostError `config`, also when it is not the key of the certificate `of`."""
    raw = read_file(path, "the key")
    load = serialization.load_pem_private_key if b"-----BEGIN" in raw else serialization.load_der_private_key
    try:
        key = load(raw, None)
    except TypeError:
        todo = "write it without one: openssl pkey -in KEY -out PLAIN, in a folder that only you can read"
        raise HostError("config", "the key %s is locked with a passphrase" % path, todo)
    except (ValueError, UnsupportedAlgorithm):
        raise HostError("config", "%s holds no private key" % path, "give a PEM or a DER file")
    if not isinstance(key, Key):
        raise HostError("config", "the key %s is of a kind that gateways cannot use" % path, "use ECDSA or RSA")
    if of is not None and key.public_key() != of.public_key():
        raise HostError("config", "the key %s belongs to another certificate" % path, "give the two of one identity")
    return key


def der(certificate: x509.Certificate) -> bytes:
    """As a board takes it."""
    return certificate.public_bytes(Encoding.DER)


def pem(certificate: x509.Certificate) -> bytes:
    """As brokers and OpenSSL take it."""
    return certificate.public_bytes(Encoding.PEM)


def key_der(key: Key) -> bytes:
    """As a board takes it: mbedtls knows the traditional form everywhere."""
    return key.private_bytes(Encoding.DER, PrivateFormat.TraditionalOpenSSL, NoEncryption())


def key_pem(key: Key) -> bytes:
    """As brokers and OpenSSL take it."""
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
