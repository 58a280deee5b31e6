"""TLS to a broker from this computer: what is trusted, who we are, and what is wrong when it does not come about.

Owns the context (chain and host name are always verified, TLS 1.2 or newer) and the codes of its faults, which a
gateway tells too (operations.md, "Connection"). There is no way back to a plain connection (security.md TLS-3).
"""

import contextlib
import datetime
import os
import socket
import ssl
import tempfile
from dataclasses import dataclass

from host_tools.errors import HostError
from host_tools.gateway import certificates

SYSTEM = "system"  # in place of a file: what this computer's operating system trusts
_PROBE_S = 5.0
_SOON = datetime.timedelta(days=60)
_TIME = (9, 10)  # X509_V_ERR: not yet valid, has expired
_NAME = (62, 63, 64)  # host name, e-mail, IP address mismatch

# Code -> sentence and what to do; %s is the broker
FAULTS = {
    "tls_authority": (
        "the certificate of %s comes from an authority that is not trusted here",
        "give the certificate of the authority that issued it: --ca FILE",
    ),
    "tls_name": (
        "the certificate of %s is for another name or address",
        "call the broker by a name that its certificate has, or issue one with this name",
    ),
    "tls_time": (
        "the certificate of %s is not valid now: it has expired, or this clock is wrong",
        "compare the clock, then renew the broker's certificate",
    ),
    "tls_client": (
        "%s does not accept the client certificate, or wants one",
        "give the identity that the broker knows: --cert FILE --key FILE",
    ),
    "tls_none": (
        "at %s nothing speaks TLS 1.2 or newer",
        "is this the port with TLS? a plain one is used only when you say --insecure-broker",
    ),
}


@dataclass(frozen=True)
class Tls:
    """`ca` is a file (PEM or DER), or `SYSTEM`; `cert` and `key` are files, or "" for no client certificate."""

    ca: str = SYSTEM
    cert: str = ""
    key: str = ""


def context(files: Tls) -> ssl.SSLContext:
    """HostError `config` for a file that does not serve."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.minimum_version = ssl.TLSVersion.TLSv1_2
    made.check_hostname = True
    made.verify_mode = ssl.CERT_REQUIRED
    if files.ca in ("", SYSTEM):
        made.load_default_certs()
    else:
        trusted = certificates.certificates(files.ca, "the authority's certificate")
        made.load_verify_locations(cadata="".join(certificates.pem(each).decode() for each in trusted))
        made.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN  # what the owner names is trusted, root or not
    if bool(files.cert) != bool(files.key):
        raise HostError("config", "a client certificate and its key belong together", "give --cert and --key")
    if files.cert:
        _identify(made, files)
    return made


def ending(files: Tls) -> list[str]:
    """What to tell of certificates that this connection shows or trusts and that end soon: within sixty days, of those
    that live for less than two years within a tenth of their life."""
    told = []
    now = datetime.datetime.now(datetime.UTC)
    for path in (files.cert, "" if files.ca == SYSTEM else files.ca):
        for each in certificates.certificates(path) if path else ():
            left, life = each.not_valid_after_utc - now, each.not_valid_after_utc - each.not_valid_before_utc
            if left < min(_SOON, life / 10):
                when = "has ended" if left.total_seconds() < 0 else "ends"
                told.append("a certificate in %s %s on %s: renew it" % (path, when, each.not_valid_after_utc.date()))
    return told


def _identify(made: ssl.SSLContext, files: Tls) -> None:
    chain = certificates.certificates(files.cert, "the client certificate")
    key = certificates.private_key(files.key, chain[0])
    with tempfile.TemporaryDirectory() as folder:  # mode 0700; OpenSSL takes a key from a file only
        path = os.path.join(folder, "identity.pem")
        with open(path, "wb") as file:
            file.write(b"".join(certificates.pem(each) for each in chain) + certificates.key_pem(key))
        try:
            made.load_cert_chain(path)
        except ssl.SSLError:
            raise HostError("config", "%s and %s cannot be used together" % (files.cert, files.key))


def root(host: str, port: int) -> bytes:
    """The authority, as DER, by which this computer's operating system trusts `host`: for a gateway, which has no such
    list. HostError with a code of `FAULTS`, or `net`."""
    trusted = context(Tls())
    try:
        with socket.create_connection((host, port), _PROBE_S) as plain:
            with trusted.wrap_socket(plain, server_hostname=host) as stream:
                chain = stream._sslobj.get_verified_chain()  # type: ignore[attr-defined]  # public from Python 3.13 on
                return ssl.PEM_cert_to_DER_cert(chain[-1].public_bytes())
    except (OSError, ValueError) as error:
        code = diagnose(host, port, trusted)
        if code:
            raise fault(code, "%s:%d" % (host, port))
        raise HostError("net", "broker %s:%d: %s" % (host, port, error), "is it running?")


def fault(code: str, broker: object) -> HostError:
    """The error of a code in `FAULTS`."""
    sentence, todo = FAULTS[code]
    return HostError(code, sentence % (broker,), todo)


def diagnose(host: str, port: int, trusted: ssl.SSLContext) -> str:
    """The code in `FAULTS` of what is wrong at `host`, or "" where TLS comes about. Nothing is sent over it.

    Asked once the connection has failed: what the MQTT client tells of its handshake is text alone.
    """
    try:
        plain = socket.create_connection((host, port), _PROBE_S)
    except OSError:
        return ""
    with plain:
        try:
            with trusted.wrap_socket(plain, server_hostname=host) as stream:
                stream.settimeout(1.0)
                with contextlib.suppress(TimeoutError):  # a refusal comes after the handshake in TLS 1.3
                    if not stream.recv(1):
                        return "tls_client"
        except ssl.SSLCertVerificationError as error:
            if error.verify_code in _TIME:
                return "tls_time"
            return "tls_name" if error.verify_code in _NAME else "tls_authority"
        except ssl.SSLError as error:
            reason = str(error.reason or "")
            if "UNRECOGNIZED_NAME" in reason:
                return "tls_name"
            is_ours = "ALERT" in reason and "VERSION" not in reason and "HANDSHAKE" not in reason
            return "tls_client" if is_ours else "tls_none"
        except OSError:
            return "tls_none"
    return ""
