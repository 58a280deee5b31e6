# A board's main.py that has no firmware: the simulator's modules loaded and at work, and nothing else. What is alive
# then is the simulator's share of the heap (`bench.heap` subtracts it).
import asyncio
import time

import bluetooth
import esp32
import machine
import network


def _gateway():
    wlan = network.WLAN(network.STA_IF)
    wlan.active(True)
    wlan.connect("sim", "simulated")
    radio.gap_scan(0, 30000, 15000, True)


def _lock():
    radio.gap_advertise(400000, b"\x02\x01\x06")


def _heard(event, args):
    pass


async def _wait():
    print("bare started")
    while True:
        await asyncio.sleep_ms(100)


esp32.NVS("bare").set_blob("key", b"value")
machine.Pin(2, machine.Pin.OUT)
machine.WDT(timeout=60000).feed()
time.ticks_ms()
radio = bluetooth.BLE()
radio.active(True)
radio.irq(_heard)
with open("/role") as _file:
    {"gateway": _gateway, "lock": _lock}[_file.read().strip()]()
asyncio.run(_wait())
