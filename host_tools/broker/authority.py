"""A private certificate authority for one broker: its own key, the broker's certificate, one identity per client.

Owns the folder that `gatehouse broker init` makes, and every certificate in it. Leaves what an identity may do to
`rules`, what stands in the broker's own configuration to `files`.

    ca/               ca.pem, ca-key.pem: keep the key away from the broker's computer
    broker/           all that the broker needs: ca.pem, crl.pem, server.pem, server-key.pem, acl, gatehouse.conf
    identities/NAME/  ca.pem, cert.pem, key.pem, and a piece of configuration
    identities.json   roles, serial numbers, names of the broker

Times: a certificate begins before the firmware was made, so that a gateway whose clock is only at its floor accepts the
house's broker (security.md CLK-1). Every key is ECDSA P-256, which a gateway verifies in reasonable time.
"""

import datetime
import ipaddress
import json
import os
import re
from dataclasses import asdict, dataclass, field
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from firmware.gateway.settings import TABLE
from firmware.lib.topics import is_id
from host_tools import json_text
from host_tools.errors import HostError
from host_tools.gateway import certificates
from host_tools.gateway.broker_address import TLS_PORT

ROLES = ("gateway", "controller", "recorder", "service")
_FROM = datetime.datetime(2025, 1, 1, tzinfo=datetime.UTC)
_LIFE = datetime.timedelta(days=20 * 365)
_FOR_EVER = datetime.datetime.max.replace(tzinfo=datetime.UTC)
NEAR_DAYS = 180  # before its end a certificate is to be renewed
AUTHORITY, BROKER = "the authority", "the broker"  # in lists of ends, beside the names of identities
_NAME = re.compile("[a-z0-9][a-z0-9-]{0,31}")
_HOST = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(\.[A-Za-z0-9_-]{1,63})*\.?")
_VERSION = 1


@dataclass
class Identity:
    """`serial` is that of its certificate, `earlier` are those of certificates that this one renews."""

    name: str
    role: str
    serial: int = 0
    earlier: list[int] = field(default_factory=list)


@dataclass
class Plan:
    """What the folder is for. `port` is the gateways', `port + 1` everybody else's (`files`)."""

    hosts: list[str]
    port: int = TLS_PORT
    base: str = "gatehouse"
    installed: str = ""  # where the folder `broker` will lie on the broker's computer; "": where it lies here
    listen: str = ""  # the address at which the broker listens; "": all that its computer has
    identities: list[Identity] = field(default_factory=list)
    revoked: list[int] = field(default_factory=list)

    def find(self, name: str) -> Identity | None:
        return next((each for each in self.identities if each.name == name), None)


class Authority:
    """The folder. `create` or `open`, then `add` and `remove`; `plan` says what there is."""

    def __init__(self, folder: Path, plan: Plan) -> None:
        self.folder = folder
        self.plan = plan

    @classmethod
    def create(cls, folder: Path, plan: Plan, wanted: list[tuple[str, str]] | None = None) -> "Authority":
        """With the identities `wanted`, each (name, role). HostError: `config` when something is there already,
        `bad_request` for a name that is none; nothing is made then."""
        if not plan.hosts:
            raise HostError("bad_request", "the broker has no name", "give the names and addresses it is called by")
        for host in plan.hosts:
            general_name(host)
        check_base(plan.base)
        if plan.listen:
            general_name(plan.listen)
        names = [checked(name, role) for name, role in wanted or []]
        if len(set(names)) < len(names):
            raise HostError("bad_request", "two identities have one name", "each client has a name of its own")
        if folder.exists() and any(folder.iterdir()):
            raise HostError("config", "%s is not empty" % folder, "give a new one, or use `gatehouse broker add`")
        _make(folder)
        made = cls(folder, plan)
        for part in ("ca", "broker", "identities"):
            _make(folder / part)
        key = ec.generate_private_key(ec.SECP256R1())
        write(folder / "ca/ca-key.pem", certificates.key_pem(key), True)
        made._certify_itself(key)
        made._issue_broker()
        made.save()
        for name, role in wanted or []:
            made.add(name, role)
        return made

    @classmethod
    def open(cls, folder: Path) -> "Authority":
        """HostError `config` for what is no such folder."""
        try:
            values = json_text.load(folder / "identities.json")
            if values.pop("version") != _VERSION:
                raise ValueError
            identities = [Identity(**each) for each in values.pop("identities")]
            return cls(folder, Plan(**values, identities=identities))
        except (OSError, ValueError, TypeError, KeyError, AttributeError):
            raise HostError("config", "%s is no folder of a broker" % folder, "make one: gatehouse broker init DIR")

    def add(self, name: str, role: str) -> Path:
        """A new identity -> its folder. HostError for a name that is taken, or that the role cannot have."""
        checked(name, role)
        if self.plan.find(name):
            raise HostError("conflict", "%s has an identity" % name, "see gatehouse broker remove")
        folder = self.folder / "identities" / name
        _make(folder)
        serial = self._issue(name, ExtendedKeyUsageOID.CLIENT_AUTH, folder / "cert.pem", folder / "key.pem")
        write(folder / "ca.pem", (self.folder / "ca/ca.pem").read_bytes())
        self.plan.identities.append(Identity(name, role, serial))
        self.save()
        return folder

    def ends(self) -> dict[str, datetime.datetime]:
        """When each certificate ends: of `AUTHORITY`, `BROKER` and every identity, in this order. HostError."""
        places = {AUTHORITY: self.folder / "ca/ca.pem", BROKER: self.folder / "broker/server.pem"}
        places |= {each.name: self.folder / "identities" / each.name / "cert.pem" for each in self.plan.identities}
        return {name: certificates.certificates(place)[0].not_valid_after_utc for name, place in places.items()}

    def near_end(self, within_days: int = NEAR_DAYS) -> list[str]:
        """Whose certificates end within so many days; all, when the authority's does."""
        ends = self.ends()
        limit = datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=within_days)
        return list(ends) if ends[AUTHORITY] <= limit else [name for name, end in ends.items() if end <= limit]

    def renew(self, names: list[str]) -> None:
        """New certificates for the same keys; `names` as in `ends`. HostError `not_found`, and then nothing is done.

        Those before stay good to their own ends, so that nobody is shut out who has not got the new one yet; `remove`
        takes them back, too.
        """
        for name in names:
            if name not in (AUTHORITY, BROKER) and self.plan.find(name) is None:
                raise HostError("not_found", "nobody is called %r here" % name, "see gatehouse broker list")
        if AUTHORITY in names:
            self._certify_itself(self._own()[0])
            for identity in self.plan.identities:
                write(self.folder / "identities" / identity.name / "ca.pem", (self.folder / "ca/ca.pem").read_bytes())
        if BROKER in names:
            self._issue_broker()
        for identity in self.plan.identities:
            if identity.name in names:
                folder = self.folder / "identities" / identity.name
                place = folder / "cert.pem", folder / "key.pem"
                identity.earlier.append(identity.serial)
                identity.serial = self._issue(identity.name, ExtendedKeyUsageOID.CLIENT_AUTH, *place)
        self.save()

    def remove(self, name: str) -> None:
        """Take an identity back: its certificate is revoked, its files here are deleted. HostError `not_found`."""
        identity = self.plan.find(name)
        if identity is None:
            raise HostError("not_found", "nobody is called %r here" % name, "see gatehouse broker list")
        self.plan.identities.remove(identity)
        self.plan.revoked += [*identity.earlier, identity.serial]
        self.save()
        folder = self.folder / "identities" / name
        for path in sorted(folder.glob("*")):
            path.unlink()
        folder.rmdir()

    def save(self) -> None:
        """The list of revoked certificates, then who there is."""
        key, certificate = self._own()
        now = datetime.datetime.now(datetime.UTC)
        builder = x509.CertificateRevocationListBuilder().issuer_name(certificate.subject).last_update(_FROM)
        builder = builder.next_update(certificate.not_valid_after_utc)
        for serial in self.plan.revoked:
            row = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(now)
            builder = builder.add_revoked_certificate(row.build())
        listed = builder.sign(key, hashes.SHA256())
        write(self.folder / "broker/crl.pem", listed.public_bytes(certificates.Encoding.PEM))
        values = {"version": _VERSION} | asdict(self.plan)
        write(self.folder / "identities.json", json.dumps(values, indent=1).encode())

    def _own(self) -> tuple[certificates.Key, x509.Certificate]:
        (certificate,) = certificates.certificates(self.folder / "ca/ca.pem", "the authority's certificate")
        return certificates.private_key(self.folder / "ca/ca-key.pem", certificate), certificate

    def _certify_itself(self, key: certificates.Key) -> None:
        """The authority's own certificate; one for the same key and name takes the place of the one before."""
        subject = _subject("Gatehouse authority of %s" % self.plan.hosts[0])
        builder = _builder(subject, subject, key.public_key())
        builder = builder.add_extension(x509.BasicConstraints(True, 0), True).add_extension(_usage(is_ca=True), True)
        content = certificates.pem(builder.sign(key, hashes.SHA256()))
        write(self.folder / "ca/ca.pem", content)
        write(self.folder / "broker/ca.pem", content)

    def _issue_broker(self) -> None:
        place = self.folder / "broker/server.pem", self.folder / "broker/server-key.pem"
        self._issue(self.plan.hosts[0], ExtendedKeyUsageOID.SERVER_AUTH, *place, self.plan.hosts)

    def _issue(
        self, name: str, purpose: x509.ObjectIdentifier, place: Path, place_of_key: Path, hosts: list[str] | None = None
    ) -> int:
        """Make a certificate, and its key where there is none -> serial number."""
        signer, authority = self._own()
        is_new = not place_of_key.exists()
        key = ec.generate_private_key(ec.SECP256R1()) if is_new else certificates.private_key(place_of_key)
        builder = _builder(_subject(name), authority.subject, key.public_key(), authority.not_valid_after_utc)
        builder = builder.add_extension(x509.BasicConstraints(False, None), True)
        builder = builder.add_extension(_usage(), True)
        builder = builder.add_extension(x509.ExtendedKeyUsage([purpose]), False)
        if hosts:
            names = x509.SubjectAlternativeName([general_name(host) for host in hosts])
            builder = builder.add_extension(names, False)
        made = builder.sign(signer, hashes.SHA256())
        if is_new:
            write(place_of_key, certificates.key_pem(key), True)
        write(place, certificates.pem(made))
        return made.serial_number


def checked(name: str, role: str) -> str:
    """The name of an identity. HostError `bad_request` for one that the role cannot have."""
    if role not in ROLES:
        raise HostError("bad_request", "no role is called %r" % role, "there are " + ", ".join(ROLES))
    if role == "gateway" and not is_id(name):
        todo = "it is what `gatehouse provision` shows: 12 hex digits in lower case"
        raise HostError("bad_request", "a gateway's identity is its id", todo)
    if role != "gateway" and (not _NAME.fullmatch(name) or is_id(name)):
        todo = "1 to 32 of a-z, 0-9 and -; not the id of a gateway"
        raise HostError("bad_request", "%r is no name for an identity" % name, todo)
    return name


def check_base(base: str) -> None:
    """HostError `bad_request` for what a gateway would not take as its `mqtt_base`."""
    if TABLE.faults({"mqtt_base": base}, True):
        raise HostError("bad_request", "%r is no first level of topics" % base)


def general_name(host: str) -> x509.GeneralName:
    """A name or address by which the broker is called. HostError `bad_request`."""
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        pass
    try:
        name = host.encode("idna").decode() if not host.isascii() else host
    except UnicodeError:
        name = ""
    if not _HOST.fullmatch(name) or len(name) > 253:
        raise HostError("bad_request", "%r is neither a name nor an address" % host, "write it without port and URL")
    return x509.DNSName(name.rstrip("."))


def write(path: Path, content: bytes, is_secret: bool = False) -> None:
    """The whole file or none; a secret for this user only."""
    part = path.with_name(path.name + ".new")
    try:
        part.unlink(missing_ok=True)
        with open(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600 if is_secret else 0o644), "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
    except OSError as error:
        raise HostError("io", "cannot write %s: %s" % (path, error.strerror))


def _make(folder: Path) -> None:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise HostError("io", "cannot make %s: %s" % (folder, error.strerror))


def _subject(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name[:64])])


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePublicKey | rsa.RSAPublicKey,
    until: datetime.datetime = _FOR_EVER,
) -> x509.CertificateBuilder:
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(key)
    builder = builder.serial_number(x509.random_serial_number()).not_valid_before(_FROM)
    return builder.not_valid_after(min(until, datetime.datetime.now(datetime.UTC) + _LIFE))


def _usage(is_ca: bool = False) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not is_ca,
        key_cert_sign=is_ca,
        crl_sign=is_ca,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
