"""A blank gateway in its add window on the simulated air: a client by others gives it Wi-Fi, our tool all of the rest,
and then its owner opens a door through it."""

import asyncio

import pytest
from esp_protocomm import Security1, establish_session, provision_wifi
from esp_protocomm.ble import BleTransport
from esp_protocomm.security1 import SecurityError
from esp_protocomm.wifi import WifiFailure, WifiState

from host_tools.boards import window
from host_tools.errors import HostError
from host_tools.near.protocomm_client import Client
from host_tools.owner.keybook import KeyBook
from host_tools.owner.owning import Owning
from host_tools.sim.ble import bleak_air
from host_tools.sim.site import owner
from host_tools.sim.site.site import Site, SiteSpec
from tests.system.bench import HANG_S

WIFI = "sim", "simulated"


async def _blank(site):
    """(gateway, name, proof of possession), with the simulated air as this computer's Bluetooth."""
    gateway = site.gateways[0]
    shown = await gateway.ask({"do": "pop"}, HANG_S)
    bleak_air.install(site.radio.hci_port)
    await gateway.wait_line("window open", HANG_S)
    return gateway, shown["name"], shown["pop"]


async def _lit(gateway):
    """Its light alternates red and blue."""
    for colour, other in (("red", "blue"), ("blue", "red"), ("red", "blue")):
        while not gateway.mechanics.light[colour] or gateway.mechanics.light[other]:
            await asyncio.sleep(0.01)


async def _by_others(gateway, name, pop):
    """esp-protocomm, unmodified: a wrong proof, a wrong password, no such network, and the right one."""
    transport = BleTransport(scan_timeout=2)
    while not any(each == name for each, _ in await BleTransport.discover("PROV_", timeout=1)):
        pass
    async with transport:
        await transport.connect(name)
        with pytest.raises(SecurityError):
            await establish_session(transport, Security1(pop=pop[:-1] + "-"))
    async with transport:
        await transport.connect(name)
        assert set(transport.endpoints) == {"proto-ver", "prov-session", "prov-scan", "prov-config", "gatehouse"}
        security = await establish_session(transport, Security1(pop=pop))
        for ssid, password, state, failure in (
            (WIFI[0], "wrong password", WifiState.CONNECTION_FAILED, WifiFailure.INCORRECT_PASSWORD),
            ("not here", WIFI[1], WifiState.CONNECTION_FAILED, WifiFailure.INCORRECT_SSID),
            (*WIFI, WifiState.CONNECTED, None),
        ):
            status = await provision_wifi(transport, security, ssid, password, timeout=HANG_S, poll_interval=0.2)
            assert (status.state, status.failure) == (state, failure)
    hello = await gateway.ask({"do": "hello"}, HANG_S)
    assert hello["faults"] == ["mqtt_host is missing"] and not hello["owner"]


async def _story(tmp_path):
    async with Site(SiteSpec(gateways=1, locks=1, profile="ideal", provisioned=False)) as site:
        gateway, name, pop = await _blank(site)
        await _lit(gateway)
        await site.leap(301)
        await gateway.wait_line("window closed", HANG_S)
        assert name not in [each.name for each in await window.find(2)]
        await gateway.restart()
        gateway, name, pop = await _blank(site)
        await _by_others(gateway, name, pop)

        await gateway.restart()  # it has Wi-Fi, and no owner: its window opens again, with the same proof
        gateway, name, same = await _blank(site)
        assert same == pop
        board = await window.choose(name, HANG_S)
        assert [each.ssid for each in await window.networks(board, pop)] == [WIFI[0]]
        with pytest.raises(HostError) as wrong:
            await window.networks(board, "a" * 16)
        assert wrong.value.code == "wrong_pop"
        settings = {
            "wifi_ssid": WIFI[0],
            "wifi_password": "not this one",
            "mqtt_host": "127.0.0.1",
            "mqtt_port": site.mqtt_port,
            "insecure_broker": True,
            "name": "Hall",
            "ntp_hosts": site.ntp.hosts,
        }
        book = KeyBook(site.key_book)

        def owning(ident, known):
            begun = Owning(book, ident, name=known["name"], broker="127.0.0.1:%d" % site.mqtt_port, simulated=True)
            return begun.request(), begun.settle

        board = await window.choose(name, HANG_S)
        with pytest.raises(HostError) as wrong:
            await window.provision(board, pop, settings, owning)
        assert wrong.value.code == "wifi_password" and not book.gateways()
        settings["wifi_password"] = WIFI[1]
        steps = []
        outcome = await window.provision(await window.choose(name, HANG_S), pop, settings, owning, steps.append)
        assert outcome.id == gateway.id and steps[-1] == "starting anew"
        assert outcome.settings["mqtt_host"] == "127.0.0.1" and book.gateways()[0].id == gateway.id
        await gateway.wait_line("mqtt connected", HANG_S)

        lock = site.locks[0]
        entry = await owner.pair(site, lock, book)
        await owner.hand_over(site, gateway, entry)
        async with owner.connect(site) as gateways:
            ident = await gateways.choose(gateway.id, wait_s=HANG_S)
            result = await gateways.command(ident, entry.id, "unlock", wait_s=HANG_S)
        assert result["ok"] and lock.mechanics.movements[-1].after == "unlocked"

        gateway.post("in", 0, 0)  # its button, for three seconds
        await asyncio.sleep(3)
        gateway.post("in", 0, 1)
        await gateway.wait_line("window_asked", HANG_S)
        gateway, name, same = await _blank(site)
        board = await window.choose(name, HANG_S)
        async with Client(board.device) as client:
            await client.open(pop)
            other = {"do": "own", "issuer": "ab" * 32}
            assert (await client.ask(other))["code"] == "owned"  # a new owner only after a reset
            kept = (await client.ask({"do": "settings"}))["settings"]
            assert kept["wifi_password"] is True and kept["name"] == "Hall"

        site.wifi.has_dhcp = False
        fixed = {"ip_address": "127.0.9.9/8", "ip_router": "127.0.0.1"}
        assert (await gateway.ask({"do": "set", "settings": fixed}, HANG_S))["ok"]
        await gateway.ask({"do": "reboot"}, HANG_S)
        await gateway.wait_line("wifi connected address=127.0.9.9", HANG_S)


@pytest.mark.xdist_group("window")
def test_f021_f022_f023_f024_f025_f027_from_a_blank_gateway_to_an_open_door(tmp_path):
    asyncio.run(_story(tmp_path))
