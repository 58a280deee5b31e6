"""`gatehouse broker renew`: certificates near their end are told of, and renewed without shutting anybody out."""

import datetime
import json
import shutil
import socket
import ssl
import threading

import pytest

from host_tools.broker import authority as authorities
from host_tools.broker.authority import AUTHORITY, BROKER, Authority, Plan
from host_tools.errors import HostError
from host_tools.gateway import certificates, tls
from tests.host.test_cli import gatehouse

GATEWAY = "240ac4a00000"
WANTED = [(GATEWAY, "gateway"), ("owner", "controller"), ("recorder", "recorder")]
EVERYBODY = [AUTHORITY, BROKER, GATEWAY, "owner", "recorder"]


def _made(folder, monkeypatch, days: int) -> Authority:
    """A folder whose certificates end in so many days."""
    with monkeypatch.context() as shorter:
        shorter.setattr(authorities, "_LIFE", datetime.timedelta(days=days))
        return Authority.create(folder, Plan(["127.0.0.1"]), list(WANTED))


@pytest.mark.parametrize("days, is_near", [(1, True), (179, True), (182, False)])
def test_what_ends_soon_is_told_by_every_command_and_renewed(days, is_near, tmp_path, monkeypatch):
    folder = tmp_path / "house"
    _made(folder, monkeypatch, days)
    keys = {path: path.read_bytes() for path in folder.rglob("*key.pem")}
    listed = gatehouse("broker", "list", "--dir", str(folder))
    assert listed.exit_code == 0 and listed.stderr.count("gatehouse broker renew") == (5 if is_near else 0)
    result = gatehouse("broker", "renew", "--dir", str(folder), "--json")
    assert result.exit_code == 0, result.output
    told = json.loads(result.stdout)
    assert told["renewed"] == (EVERYBODY if is_near else [])
    assert {path: path.read_bytes() for path in folder.rglob("*key.pem")} == keys
    ends = Authority.open(folder).ends()
    later = datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=365)
    assert all((end > later) == is_near for end in ends.values())
    assert "renew" not in gatehouse("broker", "list", "--dir", str(folder)).stderr
    assert gatehouse("broker", "renew", "--dir", str(folder), "--json").exit_code == 0


def test_one_is_renewed_by_name_and_an_unknown_name_changes_nothing(tmp_path, monkeypatch):
    folder = tmp_path / "house"
    made = _made(folder, monkeypatch, 300)
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    result = gatehouse("broker", "renew", "owner", "nobody", "--dir", str(folder))
    assert result.exit_code != 0 and "not_found: " in result.stderr
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before
    assert gatehouse("broker", "renew", "owner", "broker", "--dir", str(folder)).exit_code == 0
    after, then = Authority.open(folder).ends(), made.ends()
    assert after.pop(BROKER) == after["owner"] == then[AUTHORITY]  # no longer than the authority's own
    with pytest.raises(HostError):
        made.renew(["nobody"])


def _meets(house, client) -> bool:
    """Whether a broker with the files of one folder and a client with those of another accept each other."""
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(house / "broker/server.pem", house / "broker/server-key.pem")
    server.load_verify_locations(house / "broker/ca.pem")
    server.load_verify_locations(house / "broker/crl.pem")
    server.verify_flags |= ssl.VERIFY_CRL_CHECK_LEAF
    server.verify_mode = ssl.CERT_REQUIRED
    place = client / "identities/owner"
    mine = tls.context(tls.Tls(*(str(place / name) for name in ("ca.pem", "cert.pem", "key.pem"))))
    here, there = socket.socketpair()
    said = []

    def serve():
        try:
            with server.wrap_socket(there, server_side=True) as stream:
                said.append(stream.recv(5))
                stream.sendall(b"yes")
        except OSError:
            there.close()

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        with mine.wrap_socket(here, server_hostname="127.0.0.1") as stream:
            stream.sendall(b"hello")
            return stream.recv(5) == b"yes" and said == [b"hello"]
    except OSError:
        return False
    finally:
        here.close()
        thread.join()


def test_old_and_new_meet_until_the_old_ends_and_both_go_with_the_identity(tmp_path, monkeypatch):
    old, new = tmp_path / "old", tmp_path / "new"
    _made(old, monkeypatch, 100)
    shutil.copytree(old, new)
    Authority.open(new).renew(EVERYBODY)
    for house in (old, new):
        for client in (old, new):
            assert _meets(house, client), (house, client)
    taken = tmp_path / "taken"
    shutil.copytree(new, taken)
    Authority.open(taken).remove("owner")
    assert not _meets(taken, old) and not _meets(taken, new)


def test_a_command_warns_of_its_own_certificates(tmp_path, monkeypatch):
    _made(tmp_path / "house", monkeypatch, 59)
    place = tmp_path / "house/identities/owner"
    files = ["--%s=%s" % (option, place / (option + ".pem")) for option in ("ca", "cert", "key")]
    told = gatehouse("gateway", "list", "--broker", "127.0.0.1:1", *files)
    assert told.stderr.count("warning: a certificate in") == 2 and "ends on" in told.stderr
    Authority.open(tmp_path / "house").renew(EVERYBODY)
    assert "warning" not in gatehouse("gateway", "list", "--broker", "127.0.0.1:1", *files).stderr
    assert certificates.certificates(place / "cert.pem")
