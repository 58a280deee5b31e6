"""TLS of the broker link: what is trusted, and in which word of operations.md, "Connection", a handshake ended.

Loaded only where there is TLS. MicroPython's streams shake hands at the first write, so that faults come from there.
"""

from firmware.lib.compat import const

_ALERT = const(-30592)  # MBEDTLS_ERR_SSL_FATAL_ALERT_MESSAGE: the broker refuses us
_BAD_CERTIFICATE = const(-31232)  # MBEDTLS_ERR_SSL_BAD_CERTIFICATE: one that is not for a broker
_CLOSED = const(32)  # EPIPE: it has closed while we still answered, so it speaks TLS
_NO_MEMORY = (12, 16)  # ENOMEM, and MBEDTLS_ERR_MPI_ALLOC_FAILED, which has no name of its own in the error


def context(ca, identity):
    """TLS 1.2 or newer is all that MicroPython's mbedtls offers; verification against the DER certificate `ca` is set,
    not assumed (security.md TLS-1). `identity`: (certificate, key) of ours, DER, or None. Raises ValueError for what is
    no certificate or key, and on a build without TLS."""
    try:
        import ssl
    except ImportError:
        raise ValueError("this build has no TLS")
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.verify_mode = ssl.CERT_REQUIRED  # type: ignore[attr-defined]
    made.load_verify_locations(cadata=ca)
    if identity:
        made.load_cert_chain(*identity)
    return made


def step(err, is_shaken):
    """The word for what the stream raised (None: it ended) before the broker has said anything.

    `is_shaken`: our first message had left, and with it the handshake was over; a broker that then refuses our
    certificate does so by closing. MicroPython tells a certificate's faults by mbedtls's words alone (ValueError, 1.25
    to 1.29), one flag a line: who is not trusted counts before what else is wrong.
    """
    if isinstance(err, ValueError):
        text = str(err)
        if "trusted" in text:
            return "tls_authority"
        if "validity" in text:
            return "tls_time"
        return "tls_name" if "(CN)" in text else "tls_authority"
    number = err.args[0] if err and err.args else 0
    if number in _NO_MEMORY or "ALLOC" in str(err):
        return "memory"
    if number == _BAD_CERTIFICATE:
        return "tls_authority"
    return "tls_client" if is_shaken or number in (_ALERT, _CLOSED) else "tls_none"
