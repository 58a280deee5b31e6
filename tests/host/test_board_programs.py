"""Ordinary MicroPython programs on a simulated board: what they find there, on each interpreter."""

import asyncio
import functools
import os
import socket
import subprocess

import pytest

from host_tools.sim.site.site_plan import PASSWORD, SSID
from tests.host.one_board import OneBoard
from tests.host.radio_bench import GATEWAY, LOCK, SHIMS, air
from tests.micropython import interpreters

on_every_port = pytest.mark.parametrize(
    "port", interpreters(), ids=lambda path: "32 bits" if "micropython32" in path else "default"
)


SLEEPER = """
import esp32, machine, time
rtc = machine.RTC()
kept = rtc.memory()
print("cause", machine.reset_cause(), machine.wake_reason(), kept, time.time() > 820000000)
if kept == b"":
    rtc.datetime((2026, 1, 2, 4, 3, 4, 5, 0))
    rtc.memory(b"1")
    machine.deepsleep(300)
elif kept == b"1":
    rtc.memory(b"2")
    machine.deepsleep(6 * 3600 * 1000)
elif kept == b"2":
    rtc.memory(b"3")
    esp32.wake_on_ext0(machine.Pin(4, machine.Pin.IN), 1)
    print("waits for the pin")
    machine.deepsleep()
else:
    print("end")
"""


@on_every_port
def test_deep_sleep_ends_after_its_time_by_a_leap_or_by_a_pin_and_keeps_clock_and_memory(tmp_path, monkeypatch, port):
    monkeypatch.setenv("GATEHOUSE_MICROPYTHON", port)

    async def story():
        sleeper = OneBoard(tmp_path, SLEEPER)
        async with sleeper as board:
            await board.wait_line("^cause 4 4 b'1' True")
            while not board.is_asleep:
                await asyncio.sleep(0.01)
            await sleeper.site.leap(6 * 3600)
            await board.wait_line("^waits for the pin")
            while not board.is_asleep:
                await asyncio.sleep(0.01)
            board.mechanics.inputs[4] = 1
            await board.wait_line("^end")
            causes = [line for line in board.lines if line.startswith("cause")]
            assert causes == [
                "cause 1 0 b'' False",
                "cause 4 4 b'1' True",
                "cause 4 4 b'2' True",
                "cause 4 2 b'3' True",
            ]
            assert not board.crashes
            await board.kill()

    asyncio.run(story())


def test_a_board_in_deep_sleep_loses_its_power_or_is_reset_like_any_other(tmp_path):
    async def story():
        program = "import machine\nprint('cause', machine.reset_cause())\nmachine.deepsleep(10 ** 9)\n"
        async with OneBoard(tmp_path, program) as board:
            for cause in (1, 2):
                while not board.is_asleep:
                    await asyncio.sleep(0.01)
                seen = len(board.lines)
                if cause == 1:
                    await board.restart()
                else:
                    board.reset()
                await board.wait_line("^cause %d" % cause, after=seen)

    asyncio.run(story())


WAITING = """
import asyncio, machine, micropython, socket, time

async def serve(reader, writer):
    line = await reader.readline()
    print("line", line)
    ended.set()

async def main():
    global ended
    ended = asyncio.Event()
    server = await asyncio.start_server(serve, "127.0.0.1", PORT)
    print("listening")
    await ended.wait()  # from here on every task waits for a stream
    print("end")

asyncio.run(main())
"""


@on_every_port
def test_a_program_whose_tasks_all_wait_for_streams_goes_on_waiting(tmp_path, monkeypatch, port, unused_port):
    monkeypatch.setenv("GATEHOUSE_MICROPYTHON", port)

    async def story():
        async with OneBoard(tmp_path, WAITING.replace("PORT", str(unused_port))) as board:
            await board.wait_line("^listening")
            await asyncio.sleep(0.3)  # more than one look at the site's line
            _, writer = await asyncio.open_connection("127.0.0.1", unused_port)
            writer.write(b"hello\n")
            await board.wait_line("^end")
            writer.close()
            assert "line b'hello\\n'" in board.lines, list(board.lines)

    asyncio.run(story())


@pytest.fixture
def unused_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


PERIPHERALS = """
import machine, neopixel, time
class Button(machine.Pin):
    pass
pin = Button(2, machine.Pin.OUT)
print(type(pin), pin.value(), isinstance(pin, machine.Pin))
light = machine.Signal(machine.Pin(4, machine.Pin.OUT), invert=True)
light.on()
print(light.value(), machine.Pin(4).value())
light.off()
print(light.value(), machine.Pin(4).value(), machine.Signal(5, machine.Pin.OUT).value())
print(machine.time_pulse_us(machine.Pin(13, machine.Pin.IN), 1, 2000))
print(machine.I2C(0).scan(), machine.SoftI2C(scl=1, sda=2).scan(), machine.UART(1, 9600).read(), machine.SPI(1).read(2))
for code in ("I2C(0).writeto(9, b'1')", "Timer(9)", "Pin(99)", "DAC(1)", "nothing"):
    try:
        exec("machine." + code)
    except (OSError, ValueError, AttributeError) as err:
        print(type(err).__name__)
strip = neopixel.NeoPixel(machine.Pin(18), 2)
strip[1] = (1, 2, 3)
strip.write()
fired = []
machine.Timer(0).init(period=20, callback=lambda timer: fired.append(timer))
machine.Timer(1).init(mode=machine.Timer.ONE_SHOT, period=30, callback=lambda timer: fired.append("once"))
while fired.count("once") < 1 or len(fired) < 5:
    time.sleep_ms(5)
machine.Timer(0).deinit()
print(fired.count("once"), fired[0])
began = time.ticks_ms()
machine.lightsleep(50)
print(time.ticks_diff(time.ticks_ms(), began) >= 50, machine.wake_reason())
print("end")
"""


@on_every_port
def test_pins_signals_timers_and_buses_behave_as_on_an_esp32(tmp_path, monkeypatch, port):
    monkeypatch.setenv("GATEHOUSE_MICROPYTHON", port)

    async def story():
        async with OneBoard(tmp_path, PERIPHERALS) as board:
            await board.wait_line("^end")
            lines = list(board.lines)
            assert lines[: lines.index("end") + 1] == [
                "<class 'Button'> 0 True",
                "1 0",
                "0 1 0",
                "-2",
                "[] [] None b'\\xff\\xff'",
                "OSError",
                "ValueError",
                "ValueError",
                "ValueError",
                "AttributeError",
                "1 Timer(0)",
                "True 4",
                "end",
            ]
            assert board.bits == {18: b"\0\0\0\2\1\3"}

    asyncio.run(story())


ALONE = """
import asyncio, bluetooth, time
heard = asyncio.ThreadSafeFlag()
radio = bluetooth.BLE()
radio.active(True)
radio.irq(lambda event, args: heard.set() if event == 5 else None)

async def main():
    radio.gap_scan(0, 30000, 30000, True)
    await heard.wait()  # no task has a time to wake at: only the event ends this
    await asyncio.sleep_ms(20)
    print("end")

asyncio.run(main())
"""
ADVERTISER = """
import bluetooth, time
radio = bluetooth.BLE()
radio.active(True)
radio.gap_advertise(50000, b"\\x02\\x01\\x06")
time.sleep(600)
"""


@on_every_port
def test_programs_without_a_site_share_the_air_of_the_stand_alone_radio(tmp_path, port):
    async def story():
        async with air() as radio:
            programs = []
            for mac, text in ((LOCK, ADVERTISER), (GATEWAY, ALONE)):
                (tmp_path / mac).write_text(text)
                env = {**os.environ, "MICROPYPATH": ".frozen:%s" % SHIMS, "SIM_MAC": mac}
                env |= {"SIM_RADIO": "127.0.0.1:%d" % radio.port}
                programs.append(
                    await asyncio.create_subprocess_exec(
                        port, str(tmp_path / mac), env=env, cwd=tmp_path, stdout=subprocess.PIPE
                    )
                )
            try:
                out, _ = await asyncio.wait_for(programs[1].communicate(), 120)
                assert out == b"end\n"
            finally:
                programs[0].kill()
                await programs[0].wait()

    asyncio.run(story())


FILE_TIMES = """
import machine, os, time

def age(name):
    status = os.stat(name)
    assert status[7] == status[8] == status[9]
    return time.time() - status[8]

def write(name):
    with open(name, "w") as file:
        file.write("x")

print(os.stat("/main.py")[8], os.stat("/main.py")[6] > 0)
write("/early")
print(os.stat("/early")[8] < 600, 0 <= age("/early") < 60)
time.sleep_ms(1100)  # times are whole seconds: what was written in the one of the change has either
machine.RTC().datetime((2026, 1, 2, 4, 3, 4, 5, 0))
write("/late")
print(time.gmtime(os.stat("/late")[8])[:3], os.stat("/early")[8] < 600)
time.sleep_ms(1100)
print("ready")
while time.time() < 820638245 + 3600:
    time.sleep_ms(5)
write("/later")
print(time.gmtime(os.stat("/later")[8])[:4], time.gmtime(os.stat("/late")[8])[:4])
print("end")
"""


@on_every_port
def test_files_have_the_times_of_the_boards_clock(tmp_path, monkeypatch, port):
    monkeypatch.setenv("GATEHOUSE_MICROPYTHON", port)

    async def story():
        one = OneBoard(tmp_path, FILE_TIMES)
        async with one as board:
            await board.wait_line("^ready")
            await one.site.leap(3600)
            await board.wait_line("^end")
            lines = list(board.lines)
            assert lines[: lines.index("end")] == [
                "0 True",
                "True True",
                "(2026, 1, 2) True",
                "ready",
                "(2026, 1, 2, 4) (2026, 1, 2, 3)",
            ]

    asyncio.run(story())


UDP_ECHO = """
import asyncio, network, socket, time
wlan = network.WLAN(network.STA_IF)
wlan.active(True)
wlan.connect(SSID, PASSWORD)
while not wlan.isconnected():
    time.sleep_ms(10)
server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.bind(socket.getaddrinfo("0.0.0.0", PORT)[0][-1])
server.setblocking(False)

async def main():
    print("at", wlan.ifconfig()[0])
    stream = asyncio.StreamReader(server)
    yield asyncio.core._io_queue.queue_read(server)
    text, sender = server.recvfrom(100)
    server.sendto(b"echo " + text, sender)
    print("end")

asyncio.run(main())
"""


@on_every_port
def test_answers_by_udp_come_from_the_address_that_was_asked(tmp_path, monkeypatch, port, unused_port):
    monkeypatch.setenv("GATEHOUSE_MICROPYTHON", port)
    names = ("SSID", repr(SSID)), ("PASSWORD", repr(PASSWORD)), ("PORT", str(unused_port))
    program = functools.reduce(lambda text, pair: text.replace(*pair), names, UDP_ECHO)

    async def story():
        async with OneBoard(tmp_path, program) as board:
            address = (await board.wait_line("^at ")).split()[1]
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asker:
                asker.settimeout(60)
                asker.sendto(b"hello", (address, unused_port))
                answer, sender = await asyncio.to_thread(asker.recvfrom, 100)
            assert (answer, sender) == (b"echo hello", (address, unused_port))

    asyncio.run(story())
