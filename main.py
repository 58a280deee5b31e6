"""Starts the application of this board's role, and resets the board if it ends."""

import sys
import time

import machine

_SLOTS = ("/a", "/b")
_MARK = b"GH1"  # as in boot.py, which reads what is noted here
_RESET_AFTER_S = 5


def _note_start():
    """One more start, for the crash-loop guard in boot.py."""
    try:
        rtc = machine.RTC()
        note = rtc.memory()
        count = note[3] if len(note) == 8 and note[:3] == _MARK else 0
        rtc.memory(_MARK + bytes((min(count + 1, 255),)) + (int(time.time()) & 0xFFFFFFFF).to_bytes(4, "big"))
    except AttributeError:  # no RTC memory on this port
        pass


def _role():
    try:
        with open("/role") as file:
            return file.read().strip()
    except OSError:
        return ""


def _application(role):
    """The application's main function, or None for a role that does not exist."""
    if role == "gateway":
        from firmware.gateway.app import main
    elif role == "lock":
        from firmware.lock.app import main
    else:
        return None
    return main


def _run():
    if not any(slot in sys.path for slot in _SLOTS):
        return  # safe mode: boot.py has said why
    _note_start()
    try:
        start = _application(_role())
        if start is None:
            print("no role: write gateway or lock to /role")
            return
        start()
        print("the application has ended")
    except KeyboardInterrupt:
        raise  # somebody at the serial port wants the prompt
    except Exception as err:  # nothing above can help any more
        sys.print_exception(err)
    time.sleep(_RESET_AFTER_S)
    machine.reset()


_run()
