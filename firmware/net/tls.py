"""TLS of the broker's connection (security.md TLS-1 to TLS-3)."""


def context(ca):
    """TLS 1.2 or newer is all that MicroPython's mbedtls offers; verification against the DER certificate `ca` is set,
    not assumed (security.md TLS-1). Raises ValueError for what is no certificate."""
    import ssl

    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.verify_mode = ssl.CERT_REQUIRED  # type: ignore[attr-defined]
    made.load_verify_locations(cadata=ca)
    return made
