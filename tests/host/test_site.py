"""The simulated site: broker, time server, Wi-Fi, ports, and that nothing of it survives its end."""

import asyncio
import json
import os
import signal
import socket
import struct
import subprocess
import sys
import time
from pathlib import Path

import aiomqtt
import pytest

from host_tools.sim.air.squatter import Squatter
from host_tools.sim.board.access_point import AccessPoint
from host_tools.sim.board.interpreter import SimError
from host_tools.sim.site.site import PASSWORD, SSID, Site, SiteSpec
from host_tools.sim.site.uplink import Uplink

_ROOT = Path(__file__).resolve().parent.parent.parent
_EMPTY = {"gateways": 0, "locks": 0, "profile": "ideal", "seed": 1}


def _ask_time(port: int, timeout_s: float = 60) -> float:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(timeout_s)
        client.sendto(b"\x1b" + bytes(39) + b"cookie!!", ("127.0.0.1", port))
        answer = client.recv(100)
    assert len(answer) == 48 and answer[0] == 0x1C and answer[1] == 2 and answer[24:32] == b"cookie!!"
    seconds, fraction = struct.unpack(">II", answer[40:48])
    return seconds - 2208988800 + fraction / 2**32


async def _json(port: int, request) -> dict:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request if isinstance(request, bytes) else json.dumps(request).encode() + b"\n")
    reply = json.loads(await reader.readline())
    writer.close()
    return reply


def test_time_server_follows_leaps_lies_and_falls_silent(tmp_path):
    async def run():
        async with Site(SiteSpec(**_EMPTY, folder=tmp_path)) as site:
            assert abs(await asyncio.to_thread(_ask_time, site.ntp.port) - time.time()) < 1
            assert (await _json(site.control.port, {"do": "leap", "s": 100}))["ok"]
            assert abs(await asyncio.to_thread(_ask_time, site.ntp.port) - time.time() - 100) < 1
            assert (await _json(site.control.port, {"do": "ntp", "lie_s": -500}))["ok"]
            assert abs(await asyncio.to_thread(_ask_time, site.ntp.port) - time.time() + 400) < 1
            assert (await _json(site.control.port, {"do": "ntp", "silent": True}))["ok"]
            with pytest.raises(TimeoutError):
                await asyncio.to_thread(_ask_time, site.ntp.port, 0.2)

    asyncio.run(run())


def test_broker_comes_back_on_the_same_port_and_takes_large_payloads(tmp_path):
    async def run():
        async with Site(SiteSpec(**_EMPTY, folder=tmp_path)) as site:
            for _ in range(2):
                async with aiomqtt.Client(site.mqtt_host, site.mqtt_port) as client:
                    await client.subscribe("a")
                    await client.publish("a", b"x" * 100000, qos=1)
                    async with asyncio.timeout(60):
                        message = await anext(aiter(client.messages))
                    assert len(message.payload) == 100000
                assert (await _json(site.control.port, {"do": "broker", "up": False}))["ok"]
                assert not site.broker.is_running
                with pytest.raises(OSError):
                    await asyncio.open_connection(site.mqtt_host, site.mqtt_port)
                assert (await _json(site.control.port, {"do": "broker", "up": True}))["ok"]

    asyncio.run(run())


def test_leap_waits_until_no_link_is_up_and_says_which_one_does_not_end(tmp_path):
    async def run():
        async with Site(SiteSpec(**_EMPTY | {"locks": 1}, folder=tmp_path)) as site:
            (lock,) = site.locks
            assert (await _json(site.control.port, {"do": "squat", "lock": lock.mac}))["ok"]
            while not site.radio.links_up():
                await asyncio.sleep(0.01)
            with pytest.raises(SimError, match="no moment .* the link 5a:00:00:00:00:01 to " + lock.mac):
                await site.leap(5, timeout_s=0.2)
            assert site.leap_s == 0
            leap = asyncio.create_task(_json(site.control.port, {"do": "leap", "s": 5}))
            while site.radio.links_up():
                assert site.leap_s == 0 and not leap.done()
                if not site.squatters[lock.mac].stays_s:
                    assert (await _json(site.control.port, {"do": "unsquat", "lock": lock.mac}))["ok"]
                    break
            assert (await leap)["ok"] and site.leap_s == 5 and not site.radio.links_up()
            assert (await _json(site.control.port, {"do": "leap", "s": -5}))["code"] == "bad_request"

    asyncio.run(run())


def test_no_link_begins_in_a_leap_and_one_that_is_wanted_comes_up_after_it(tmp_path):
    async def run():
        async with Site(SiteSpec(**_EMPTY | {"locks": 1}, folder=tmp_path)) as site:
            (lock,) = site.locks
            phone = await Squatter(site.radio.air, lock.mac, per_min=600).start()  # comes and goes all the time
            for seconds in range(1, 11):
                before_s = site.leap_s
                leap = asyncio.create_task(site.leap(seconds))
                while site.leap_s == before_s:
                    await asyncio.sleep(0)
                assert not site.radio.links_up() and site.radio.air.is_held
                await leap
                assert not site.radio.air.is_held
            last = site.radio.last_link
            while site.radio.last_link == last:
                await asyncio.sleep(0.01)
            assert site.leap_s == 55 and lock.starts == 1 and not lock.crashes
            await phone.stop()

    asyncio.run(run())


def test_leap_leaves_a_board_alone_that_has_no_power_or_loses_it(tmp_path):
    async def run():
        async with Site(SiteSpec(**_EMPTY | {"locks": 2}, folder=tmp_path)) as site:
            dark, dying = site.locks
            await dark.kill()
            printed = len(dying.lines)
            leap = asyncio.create_task(site.leap(7))
            dying.reset()
            await leap
            assert site.leap_s == 7
            await dying.wait_line("lock started", after=printed)
            assert (await dying.panel({"do": "state"}))["bolt"] == "locked"

    asyncio.run(run())


def test_control_port_answers_nonsense_with_a_code(tmp_path):
    async def run():
        async with Site(SiteSpec(**_EMPTY, folder=tmp_path)) as site:
            for request in (b"no json\n", b"[1]\n", {"do": "dance"}, {"do": "leap"}, {"do": "leap", "s": "soon"}, {}):
                assert (await _json(site.control.port, request))["code"] == "bad_request"
            assert (await _json(site.control.port, {"do": "kill", "board": "nobody"}))["code"] == "refused"

    asyncio.run(run())


class _Station:
    def __init__(self) -> None:
        self.index = 1
        self.rssi_dbm = -50
        self.told: asyncio.Queue = asyncio.Queue()

    def post(self, *message) -> None:
        self.told.put_nowait(message)


def test_access_point_refuses_strangers_and_throws_out_when_it_goes_down():
    async def run():
        air, station = AccessPoint(SSID, PASSWORD, 1), _Station()

        async def told():
            return await asyncio.wait_for(station.told.get(), 60)

        air.join(station, SSID, "wrong", 0)
        assert await told() == ("wifi", "gone", 202)
        air.join(station, "elsewhere", PASSWORD, 0)
        assert await told() == ("wifi", "gone", 201)
        began = time.monotonic()
        air.join(station, SSID, PASSWORD, -1)
        assert (await told())[1] == "up" and time.monotonic() - began > 0.04
        air.switch(False)
        assert await told() == ("wifi", "down", 200)
        assert await told() == ("wifi", "down", 201)
        air.switch(True)
        assert (await told())[1] == "up"
        air.leave(station)

    asyncio.run(run())


def test_time_server_alternates_and_takes_its_time(tmp_path):
    async def run():
        async with Site(SiteSpec(**_EMPTY, folder=tmp_path)) as site:
            request = {"do": "ntp", "lie_s": [500, -500], "delay_s": 0.3}
            assert (await _json(site.control.port, request))["ok"]
            began = time.monotonic()
            told = [await asyncio.to_thread(_ask_time, site.ntp.port) - time.time() for _ in range(4)]
            assert time.monotonic() - began > 1.2
            assert sorted(round(each / 500) for each in told) == [-1, -1, 1, 1]
            assert round(told[0] / 500) != round(told[1] / 500)

    asyncio.run(run())


def test_access_point_flaps_changes_its_password_and_takes_its_time():
    async def run():
        air, station = AccessPoint(SSID, PASSWORD, 1), _Station()
        seen = []
        air.on_switch = seen.append
        air.join_s = (0.3, 0.31)

        async def told():
            return await asyncio.wait_for(station.told.get(), 60)

        began = time.monotonic()
        air.join(station, SSID, PASSWORD, -1)
        assert (await told())[1] == "up" and time.monotonic() - began > 0.29
        air.set_rssi(-80)
        assert await told() == ("wifi", "rssi", -80)
        air.change_password("another")
        assert (await told())[1:] == ("down", 200)
        assert (await told())[1:] == ("down", 202)
        air.subnet = 7
        air.change_password(PASSWORD)
        while (news := await told())[1] != "up":
            pass
        assert news[2] == "127.0.7.2"
        seen.clear()
        await air.flap(0.05, 0.05)
        async with asyncio.timeout(60):
            while seen.count(False) < 3:
                await told()
        await air.flap(0, 0)
        assert air.is_up and seen[-1]
        switched = len(seen)
        await air.flap(0.05, 0.05, 0.01)  # a time that is over after the first round
        async with asyncio.timeout(60):
            while len(seen) < switched + 3:  # off, on, and on for good
                await asyncio.sleep(0.01)
        await asyncio.sleep(0.15)
        assert seen[switched:] == [False, True, True] and air.is_up
        await air.close()

    asyncio.run(run())


def test_weak_uplink_costs_time_and_a_portal_or_a_reset_is_no_broker():
    async def run():
        async def echo(reader, writer):
            while part := await reader.read(100):
                writer.write(part)
            writer.close()

        server = await asyncio.start_server(echo, "127.0.0.1", 0)
        uplink = Uplink("127.0.0.1", server.sockets[0].getsockname()[1], seed=1)
        await uplink.start()

        async def exchange(number=1):
            reader, writer = await asyncio.open_connection("127.0.0.1", uplink.port)
            began = time.monotonic()
            for _ in range(number):
                writer.write(b"ping")
                assert await asyncio.wait_for(reader.readexactly(4), 60) == b"ping"
            writer.close()
            return (time.monotonic() - began) / number

        assert min([await exchange() for _ in range(10)]) < 0.3
        uplink.latency_s = 0.2
        assert await exchange() > 0.39
        uplink.latency_s, uplink.loss = 0.0, 0.3
        assert await exchange(10) > 0.05
        uplink.loss = 0.0
        uplink.mode = "captive"
        reader, writer = await asyncio.open_connection("127.0.0.1", uplink.port)
        writer.write(b"ping")
        assert (await asyncio.wait_for(reader.read(), 60)).startswith(b"HTTP/1.1 302")
        writer.close()
        uplink.mode = "refused"
        with pytest.raises((OSError, asyncio.IncompleteReadError)):
            await exchange()
        uplink.mode = "through"
        held, _ = await asyncio.open_connection("127.0.0.1", uplink.port)
        await asyncio.sleep(0.1)
        uplink.cut()
        with pytest.raises((OSError, asyncio.IncompleteReadError)):
            await asyncio.wait_for(held.readexactly(1), 5)
        await uplink.stop()
        server.close()

    asyncio.run(run())


def test_every_fault_can_be_asked_for_at_the_control_port(tmp_path):
    async def run():
        async with Site(SiteSpec(**_EMPTY, folder=tmp_path)) as site:
            here = {"sender": "central", "chance": 0.5}
            requests = [
                {"do": "profile", "name": "bad"},
                {"do": "jam", "at": [1, 1], "radius_m": 2, "for_s": 60},
                {"do": "drop", "sender": "peripheral", "packet": 4, "delivered": True},
                {"do": "lose", **here},
                {"do": "corrupt", **here},
                {"do": "delay", "s": 0.5},
                {"do": "wifi", "up": False, "join_s": [1, 2], "rssi_dbm": -80},
                {"do": "flap", "up_s": 1, "down_s": 1, "for_s": 3},
                {"do": "uplink", "loss": 0.3, "latency_s": 0.1, "mode": "captive", "cut": True},
            ]
            for request in requests:
                assert await _json(site.control.port, request) == {"ok": True}, request
            state = await _json(site.control.port, {"do": "state"})
            assert state["profile"] == "bad" and len(state["faults"]) == 5
            lifted = await _json(site.control.port, {"do": "lift"})
            assert len(lifted["lifted"]) == 5 and not site.radio.faults.describe()
            for wrong in (
                {"do": "drop", "sender": "lock", "packet": 4},
                {"do": "drop", "sender": "central", "packet": 0},
                {"do": "profile", "name": "windy"},
                {"do": "leap", "s": 1, "m": 1},
            ):
                assert (await _json(site.control.port, wrong))["code"] == "bad_request", wrong

    asyncio.run(run())


def test_mqtt_of_a_gateway_holds_its_breath_while_the_wifi_is_down(tmp_path):
    async def run():
        async with Site(SiteSpec(**_EMPTY | {"gateways": 1}, folder=tmp_path)) as site:
            await site.gateways[0].wait_line("mqtt connected")
            async with aiomqtt.Client(site.mqtt_host, site.uplinks[0].port) as far:
                async with aiomqtt.Client(site.mqtt_host, site.mqtt_port) as near:
                    await near.subscribe("a", qos=1)
                    site.switch_wifi(False)
                    sent = asyncio.create_task(far.publish("a", b"1", qos=1))
                    await site.gateways[0].wait_line("wifi (lost|disconnected|down)")
                    assert not sent.done()
                    site.switch_wifi(True)
                    await asyncio.wait_for(sent, 60)
                    async with asyncio.timeout(60):
                        await anext(aiter(near.messages))

    asyncio.run(run())


def _running(pid: int) -> bool:
    try:
        return Path("/proc/%d/stat" % pid).read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.skipif(not os.path.exists("/proc"), reason="looks for processes in /proc")
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_nothing_survives_the_end_of_a_site(tmp_path, how):
    code = (
        "from host_tools.sim.site.run import run_site; run_site(json_out=True, seed=1, gateways=1, locks=1, folder=%r)"
    )
    site = subprocess.Popen([sys.executable, "-c", code % str(tmp_path)], cwd=_ROOT, stdout=subprocess.PIPE, text=True)
    try:
        facts = json.loads(site.stdout.readline())
        assert facts["locks"][0]["panel"].startswith("127.0.0.1:") and facts["gateways"][0]["console"]
        children = Path("/proc/%d/task/%d/children" % (site.pid, site.pid)).read_text().split()
        children += [
            pid
            for task in Path("/proc/%d/task" % site.pid).iterdir()
            for pid in (task / "children").read_text().split()
            if pid not in children
        ]
        assert len(children) == 3  # the broker and two boards
        site.send_signal(how)
        status = site.wait(15)
        assert status == (-9 if how == signal.SIGKILL else 0)
        deadline = time.monotonic() + 60
        while any(_running(int(pid)) for pid in children) and time.monotonic() < deadline:
            time.sleep(0.1)
        assert not [pid for pid in children if _running(int(pid))]
    finally:
        site.kill()
        site.wait()
        site.stdout.close()
