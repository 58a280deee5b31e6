"""A secure site: TLS, an identity for each client, boards and tools told of it; nothing goes in clear."""

import asyncio
import contextlib
import json
import shutil
import socket

import pytest

from firmware.lib import mqtt_packet
from host_tools.gateway import brokers, client, local_brokers
from host_tools.sim.site import owner
from host_tools.sim.site.broker import find_mosquitto
from host_tools.sim.site.house import HUB, NAME, House, has_tls
from host_tools.sim.site.site import Site, SiteSpec
from host_tools.sim.site.site_plan import gateway_id

KINDS = [
    pytest.param("mosquitto", marks=pytest.mark.skipif(not find_mosquitto(), reason="mosquitto is not installed")),
    "iotcore",
]


@pytest.mark.parametrize("kind", KINDS)
def test_a_gateway_and_its_owner_meet_by_tls_before_and_after_the_broker_was_away(kind, tmp_path, monkeypatch):
    async def story():
        async with Site(SiteSpec(locks=0, broker=kind, secure=True, folder=tmp_path / "site")) as site:
            for _ in range(2):
                async with owner.connect(site) as gateways:
                    await gateways.choose(site.gateways[0].id, wait_s=120)
                    assert (await gateways.command(site.gateways[0].id, None, "ping"))["ok"]
                async with client.connect(site.at_broker(HUB)) as hub:
                    await hub.choose(wait_s=120)
                    assert "insecure_broker" not in json.dumps(hub.info)
                await site.broker.stop()
                await site.broker.start()
            # as somebody at this computer finds it, without a word about keys
            monkeypatch.setenv("GATEHOUSE_CONFIG", site.describe()["mqtt"]["config"])
            chosen = brokers.choose("", {})
            assert chosen.tls and chosen.port == site.mqtt_port
            assert local_brokers.keys(chosen.host, chosen.port) == site.key_book
            assert not local_brokers.is_simulated(chosen.host, chosen.port)  # none that may be used without TLS
            for port in (site.broker.port, site.broker.tools_port):
                with socket.create_connection((chosen.host, port)) as plain:
                    plain.sendall(mqtt_packet.encode_connect("gatehouse-nobody", 60))
                    with contextlib.suppress(ConnectionError):
                        assert plain.recv(1) != b"\x20"

    asyncio.run(story())


@pytest.mark.parametrize("kind", ["mosquitto", "iotcore"])
def test_each_end_is_told_what_it_needs_and_no_more(kind, tmp_path):
    gateways = [gateway_id(0), gateway_id(1)]
    house = House(tmp_path / "house", kind, "127.0.0.1", 21883, gateways)
    settings, files = house.board(gateways[0])
    assert settings["mqtt_host"] == NAME and not settings.get("insecure_broker")
    assert set(files) == {settings[key] for key in ("mqtt_ca", "mqtt_cert", "mqtt_key")}
    logins = {name: house.broker(name).password for name in ("owner", HUB, "recorder")}
    logins["gateway"] = settings.get("mqtt_password")
    if kind == "mosquitto":
        assert set(logins.values()) == {None}
        assert "listener 21883 127.0.0.1" in house.mosquitto() and "listener 21884 127.0.0.1" in house.mosquitto()
    else:
        assert len(set(logins.values())) == 4 and min(map(len, logins.values())) >= 22  # 128 bits
        assert "0.0.0.0" not in house.embedded(1024)
        for name, word in logins.items():
            assert word in house.embedded(1024), name
    assert house.stranger().tls and not house.stranger().tls.cert
    shutil.rmtree(house.folder)


def test_boards_have_tls():
    assert has_tls()
