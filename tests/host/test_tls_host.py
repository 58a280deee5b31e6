"""The host tools over TLS: who is not the broker hears no word of MQTT (security.md TLS-1, TLS-3, T-TLS-1)."""

import asyncio

import pytest

from host_tools.errors import HostError
from host_tools.gateway import brokers, client, tls
from tests.host import pki
from tests.host.test_cli import gatehouse


@pytest.fixture(scope="module")
def rig(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tls")
    authority = pki.issue("authority")
    pki.write(folder, "ca", authority)
    pki.write(folder, "client", pki.issue("owner", authority))
    pki.write(folder, "alien", pki.issue("owner", pki.issue("authority")))
    servers = {case: pki.Server(case, folder, authority) for case in pki.CASES}
    yield folder, servers
    for server in servers.values():
        server.close()


async def _connect(port, files, host=pki.HERE):
    async with client.connect(brokers.Broker(host, port, files)):
        pass


@pytest.mark.parametrize("case", [case for case in pki.CASES if case != "right"])
def test_who_is_not_the_broker_is_left_before_a_word_of_mqtt(case, rig):
    folder, servers = rig
    with pytest.raises(HostError) as caught:
        asyncio.run(_connect(servers[case].port, tls.Tls(str(folder / "ca.pem"))))
    assert caught.value.code == pki.CASES[case]
    assert not servers[case].heard or servers[case].heard[0] == 0x16  # a ClientHello, in clear as it has to be


@pytest.mark.parametrize("form", ["pem", "der"])
def test_the_right_one_is_served_by_pem_and_der_and_by_every_name_it_has(form, rig):
    folder, servers = rig
    for host in (pki.HERE, "localhost"):
        asyncio.run(_connect(servers["right"].port, tls.Tls(str(folder / ("ca." + form))), host))
    assert servers["right"].heard[0] == 0x10
    identity = tls.Tls(str(folder / "ca.pem"), str(folder / ("client." + form)), str(folder / ("client-key." + form)))
    asyncio.run(_connect(servers["wants_client"].port, identity))
    assert servers["wants_client"].heard[0] == 0x10
    servers["wants_client"].heard.clear()
    alien = tls.Tls(str(folder / "ca.pem"), str(folder / ("alien." + form)), str(folder / ("alien-key." + form)))
    with pytest.raises(HostError) as caught:
        asyncio.run(_connect(servers["wants_client"].port, alien))
    assert caught.value.code == "tls_client"


def test_the_system_trusts_no_authority_of_ours(rig):
    _, servers = rig
    with pytest.raises(HostError) as caught:
        asyncio.run(_connect(servers["right"].port, tls.Tls()))
    assert caught.value.code == "tls_authority"


def test_a_file_that_does_not_serve_is_named(rig, tmp_path):
    folder, _ = rig
    (tmp_path / "empty").touch()
    (tmp_path / "text.pem").write_text("-----BEGIN CERTIFICATE-----\nxx\n-----END CERTIFICATE-----\n")
    name = lambda part: str(folder / part)  # noqa: E731
    for files in (
        tls.Tls("/nothing/here"),
        tls.Tls(str(tmp_path)),
        tls.Tls(str(tmp_path / "empty")),
        tls.Tls(str(tmp_path / "text.pem")),
        tls.Tls(name("client-key.pem")),
        tls.Tls(name("ca.pem"), name("client.pem"), name("alien-key.pem")),
        tls.Tls(name("ca.pem"), name("client.pem"), name("client.pem")),
        tls.Tls(name("ca.pem"), name("client.pem")),
        tls.Tls(name("ca.pem"), "", name("client-key.pem")),
    ):
        with pytest.raises(HostError) as caught:
            tls.context(files)
        assert caught.value.code == ("io" if files.ca in ("/nothing/here", str(tmp_path)) else "config"), files


def test_a_command_refuses_a_plain_broker_and_says_how_to_allow_it(rig, monkeypatch):
    _, servers = rig
    monkeypatch.setenv("GATEHOUSE_CONFIG", "")
    before = len(servers["plain"].heard)
    result = gatehouse("state", "aabbccddeeff", "--broker", "mqtt://127.0.0.1:%d" % servers["plain"].port)
    assert result.exit_code != 0 and "config: " in result.stderr and "--insecure-broker" in result.stderr
    assert len(servers["plain"].heard) == before  # it was not even called
    told = gatehouse("state", "aabbccddeeff", "--broker", "127.0.0.1:%d" % servers["plain"].port)
    assert "tls_none: " in told.stderr and "--insecure-broker" in told.stderr
