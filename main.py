"""Starts the application of this board's role, and resets the board if it ends."""

import gc
import sys
import time

import machine

_SLOTS = ("/a", "/b")
_MARK = b"GH2"  # as in boot.py, which reads what is counted here
_MINIMAL_AFTER = 5  # quick resets
_ESCAPED = 7  # firmware/system/restarts.py: why the board was reset, and 12 bytes about it
_WHY_AT = 4
_WHAT_AT = 5
_WHAT_LEN = 12
_SMALL_HEAP = 262144  # bytes: a frozen build's is 104 KiB
_LARGE_HEAP = 1048576  # bytes: there is PSRAM
_COLLECT_AFTER = 8192
_COLLECT_AFTER_SMALL = 2048
_RESET_AFTER_S = 3  # the watchdog leaves it that long
_SAFE_S = 600
_PROMPT_MS = 3600000


def _note():
    """The RTC's memory as boot.py and `restarts` know it, at least as long as what is written here."""
    kept = machine.RTC().memory()
    note = bytearray(max(len(kept), _WHAT_AT + _WHAT_LEN))
    note[:3] = _MARK
    if kept[:3] == _MARK:
        note[: len(kept)] = kept
    return note


def _count_start(is_over=False):
    """One more start; returns how many before it did not last. `is_over`: start counting anew."""
    try:
        note = _note()
        before = note[3]
        note[3] = 0 if is_over else min(before + 1, 255)
        machine.RTC().memory(bytes(note))
        return before
    except AttributeError:  # a port without RTC memory has no guard
        return 0


def _note_escaped(err):
    try:
        note = _note()
        name = type(err).__name__.encode()[:_WHAT_LEN]
        note[_WHY_AT] = _ESCAPED
        note[_WHAT_AT : _WHAT_AT + _WHAT_LEN] = name + bytes(_WHAT_LEN - len(name))
        machine.RTC().memory(bytes(note))
    except Exception as fault:  # the reset that follows matters more than its reason
        print("not noted:", type(fault).__name__)


def _role():
    try:
        with open("/role") as file:
            return file.read().strip()
    except OSError:
        return ""


def _collect_after(while_importing):
    """Collect garbage before the heap is full of it. An ESP32's heap grows into what Wi-Fi and Bluetooth live on, and
    what is imported for good would lie scattered between what each import leaves behind: measured with 32-bit objects,
    the lock needs 180 KiB to start and pair instead of 230, the gateway 283 instead of 344 for all of its work. While
    importing, and in a small heap, it is done more often: that saves a frozen gateway 7 KiB. In a larger one an unlock
    would pay for it.

    A heap of a megabyte lies in PSRAM, of which Wi-Fi and Bluetooth take nothing. It is collected when it is full, as
    MicroPython does by itself: four fifths of what a start takes were collections otherwise.
    """
    if not hasattr(gc, "threshold"):  # CPython, which runs the tests of this file, has its own way
        return
    heap = gc.mem_free() + gc.mem_alloc()
    if heap < _LARGE_HEAP:
        after = _COLLECT_AFTER if heap >= _SMALL_HEAP else _COLLECT_AFTER_SMALL
        gc.threshold(after // 4 if while_importing else after)


def _application(role):
    """The application's main function, or None for a role that does not exist."""
    _collect_after(True)
    if role == "gateway":
        from firmware.gateway.app import main
    elif role == "lock":
        from firmware.lock.app import main
    else:
        return None
    _collect_after(False)
    return main


def _start():
    """Run the application; False where there is none to run."""
    quick = _count_start()
    start = _application(_role())
    if start is None:
        _count_start(True)
        print("no role: write gateway or lock to /role")
        return False
    start(quick >= _MINIMAL_AFTER)
    print("the application has ended")
    return True


def _run():
    try:
        if any(slot in sys.path for slot in _SLOTS):
            if not _start():
                return
            time.sleep(_RESET_AFTER_S)
        else:
            print("trying again in %d s; Ctrl-C gives the prompt" % _SAFE_S)
            time.sleep(_SAFE_S)
            _count_start(True)
    except KeyboardInterrupt:  # somebody at the serial port wants the prompt, and time before the watchdog bites
        try:
            machine.WDT(timeout=_PROMPT_MS)
        except (AttributeError, OSError, ValueError):
            pass
        raise
    except Exception as err:  # nothing above can help any more
        sys.print_exception(err)
        _note_escaped(err)
        time.sleep(_RESET_AFTER_S)
    machine.reset()


_run()
