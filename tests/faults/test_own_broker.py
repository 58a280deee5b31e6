"""The house's own broker, as `gatehouse broker init` makes it, on a real mosquitto: identity by topic (T-ACL-1), who is
let in at all (T-GWA-1), and that nobody pushes a gateway off by its id (T-GWA-3)."""

import queue
import ssl

import pytest

from host_tools.gateway import tls
from tests.faults.own_broker import ALL, IDENTITIES, OBSERVER, TOPICS, WAIT_S, A, B, Client, running
from tests.faults.rows import Row
from tests.host import pki

_FOREIGN = ("none", "other_authority", "self_signed", "expired", "revoked")


@pytest.fixture(scope="module")
def rig(tmp_path_factory):
    yield from running(tmp_path_factory)


@pytest.fixture(scope="module")
def observer(rig):
    client = Client(rig, OBSERVER).entered()
    client.subscribe("#")
    yield client
    client.close()


def _retained(rig):
    """What the broker has retained, by topic."""
    late = Client(rig, OBSERVER).entered()
    late.subscribe("#")
    late.subscribe("marker")
    found = {topic: payload for topic, payload, retain in late.drained() if retain}
    late.close()
    return found


def _judge(row, what, came, allowed):
    """One try for each topic."""
    for topic in ALL:
        row.check((topic in came) == (topic in allowed), "%s: %s" % (what, topic))
    row.check(came <= set(ALL), "%s: topics of nobody's" % what)


@pytest.mark.row("T-ACL-1", "identity by topic by publish, subscribe and retained, at mosquitto")
def test_each_identity_says_and_hears_what_it_may_and_nothing_else(row: Row, rig, observer) -> None:
    for name in IDENTITIES:
        _publishes(row, name, rig, observer)
        _hears(row, name, rig, observer)


def _publishes(row, name, rig, observer):
    client = Client(rig, name).entered()
    allowed = {topic for topic, writers, _ in TOPICS if name in writers}
    for retain in (False, True):
        observer.drained()
        payload = ("%s %d" % (name, retain)).encode()
        client.publish(ALL, payload, retain)
        observer.subscribe("marker")
        came = {topic for topic, said, _ in observer.drained() if said == payload}
        _judge(row, "%s publishes, retain %d" % (name, retain), came, allowed)
    kept = _retained(rig)
    _judge(row, name + " is retained", {topic for topic in kept if kept[topic] == payload}, allowed)
    observer.publish(kept, b"", True)
    client.close()


def _hears(row, name, rig, observer):
    allowed = {topic for topic, _, readers in TOPICS if name in readers}
    client = Client(rig, name).entered()
    client.subscribe("#", "$SYS/#", *ALL)
    client.drained()
    observer.publish(ALL, b"now")
    client.subscribe("marker")
    _judge(row, name + " hears", {topic for topic, _, _ in client.drained()}, allowed)
    client.close()
    observer.publish(ALL, b"kept", True)
    late = Client(rig, name).entered()
    late.subscribe("gatehouse/+/#", "homeassistant/#", "#")
    late.subscribe("marker")
    _judge(row, name + " hears later", {topic for topic, _, _ in late.drained()}, allowed)
    late.close()
    observer.publish(ALL, b"", True)


def _foreign(rig, case, folder):
    """Files of somebody who calls himself gateway A."""
    own = rig.folder / "identities" / A
    ca = str(own / "ca.pem")
    if case == "none":
        return tls.Tls(ca)
    if case == "revoked":
        return tls.Tls(ca, str(rig.gone / "cert.pem"), str(rig.gone / "key.pem"))
    if case == "other_authority":
        signed = pki.issue(A, pki.issue("authority"))
    elif case == "self_signed":
        signed = pki.issue(A)
    else:
        (certificate,) = pki.certificates.certificates(rig.folder / "ca/ca.pem")
        authority = pki.certificates.private_key(rig.folder / "ca/ca-key.pem"), certificate
        signed = pki.issue(A, authority, (), (-3, -1))
    cert, key = pki.write(folder, case, signed)
    return tls.Tls(ca, str(cert), str(key))


@pytest.mark.row("T-GWA-1", "clients without a good certificate that speak as a gateway")
def test_who_shows_no_good_certificate_is_not_let_in(row: Row, rig, tmp_path, observer) -> None:
    observer.drained()
    for case in _FOREIGN:
        for port in (rig.port, rig.port + 1):
            row.check(_is_left_out(rig, port, _foreign(rig, case, tmp_path)), "%s at %d is let in" % (case, port))
    observer.subscribe("marker")
    row.check(not observer.drained(), "a forged message came through")


def _is_left_out(rig, port, identity):
    try:
        client = Client(rig, A, "gatehouse-" + A, port, identity)
    except OSError:  # ssl.SSLError is one
        return True
    try:
        client.mqtt.publish("gatehouse/%s/status" % A, "forged", 1)
        client.lost.wait(WAIT_S)
        code = client.codes.get_nowait()
        return code.is_failure
    except (queue.Empty, ssl.SSLError):
        return True
    finally:
        client.mqtt.loop_stop()


@pytest.mark.row("T-GWA-3", "attempts of others to take a gateway's client id")
def test_nobody_pushes_a_gateway_off_the_broker_by_its_id(row: Row, rig) -> None:
    gateway = Client(rig, A, "gatehouse-" + A).entered()
    gateway.subscribe("gatehouse/%s/cmd" % A)
    clients = []
    for name in (B, "owner", "homeassistant", "recorder"):
        for port in (rig.port, rig.port + 1):
            for ident in ("gatehouse-" + A, A):
                try:
                    client = Client(rig, name, ident, port)
                    client.codes.get(timeout=WAIT_S)
                    clients.append(client)
                except OSError:
                    pass
                row.check(not gateway.lost.is_set(), "%s at %d as %s" % (name, port, ident))
    owner = Client(rig, "owner").entered()
    owner.publish(["gatehouse/%s/cmd" % A], b"still there?")
    row.check(gateway.heard.get(timeout=WAIT_S)[1] == b"still there?", "the gateway hears no more")
    row.check(not gateway.lost.is_set(), "the gateway was pushed off")
    for client in (*clients, owner, gateway):
        client.close()
