# Runs on a simulated board before its own program (SIM_PROBE) and makes one of its jobs misbehave, as SIM_FAULT says:
# {"job": name, "how": word, "times": how often, "always": also after a reset that was no loss of power}.
#
#   raise, memory   the job fails after a moment          hang        it waits for what never comes
#   return          the job ends                          stubborn    it cannot even be cancelled
#   block           it never gives the loop back          feeder      nobody feeds the watchdog any more
#   deaf            the radio refuses to scan until it was switched off and on; deafer: for ever
#   irq             every fiftieth call of the radio's interrupt handler raises
# ruff: noqa: E402, F821
import asyncio
import json
import os
import sys
import time

import machine

_fault = json.loads(os.getenv("SIM_FAULT") or "{}")
_AFTER_MS = 1500

sys.path.append("/a")
from firmware.system import lifeline, supervisor


async def _misbehave(how):
    print("probe %s %d" % (how, time.ticks_ms()))
    if how == "raise":
        raise ValueError("probe")
    if how == "memory":
        raise MemoryError("probe")
    while how == "block":
        time.sleep_ms(1000)
    while how == "stubborn":
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            pass
    if how == "hang":
        await asyncio.Event().wait()


def _faulty(job, how, times):
    starts = [0]

    async def run(lease):
        starts[0] += 1
        if starts[0] > 1:
            print("probe started_again %d" % time.ticks_ms())
        if starts[0] > times:
            await job(lease)
            return
        work = asyncio.create_task(job(lease))  # it does its work until then
        try:
            await asyncio.sleep_ms(_AFTER_MS)
        finally:
            work.cancel()
            try:
                await work
            except asyncio.CancelledError:
                pass
        lease.renew()  # it misbehaves at work, not in a wait that its lease covers
        await _misbehave(how)

    return run


def _install(wanted, how, times):
    add = supervisor.Supervisor.add

    def add_faulty(self, name, job):
        if name == wanted:
            job = _faulty(job, how, times)
        print("probe job %s" % name)
        add(self, name, job)

    supervisor.Supervisor.add = add_faulty


def _break_irq():
    from firmware.ble import radio

    irq = radio.Radio._irq
    count = [0]

    def broken(self, event, args):
        count[0] += 1
        if count[0] % 50 == 0:
            raise ValueError("probe")
        return irq(self, event, args)

    radio.Radio._irq = broken


def _refuse_scans(is_for_ever):
    from firmware.ble import radio
    from firmware.lib.errors import LinkError

    start_scan, stop = radio.Radio.start_scan, radio.Radio.stop
    healed = []

    def refuse(self):
        if is_for_ever or not healed:
            raise LinkError("probe")
        start_scan(self)

    def stop_and_heal(self):
        healed.append(1)
        stop(self)

    radio.Radio.start_scan, radio.Radio.stop = refuse, stop_and_heal


if not _fault:
    _install("", "", 0)  # names the jobs, and leaves them alone
elif _fault.get("always") or machine.reset_cause() == machine.PWRON_RESET:
    if _fault["how"] == "irq":
        _break_irq()
    elif _fault["how"] in ("deaf", "deafer"):
        _refuse_scans(_fault["how"] == "deafer")
    elif _fault["how"] == "feeder":
        fed = [0]

        def feed_no_more(self):
            fed[0] += 1
            if fed[0] < 3:
                self._watchdog.feed()
            elif fed[0] == 3:
                print("probe feeder %d" % time.ticks_ms())

        lifeline.Lifeline._feed = feed_no_more
    else:
        _install(_fault["job"], _fault["how"], _fault.get("times", 1))
