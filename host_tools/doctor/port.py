"""`gatehouse doctor PORT`: what stands on a serial port, and what is wrong with it.

`look` asks, `judge` says; what is asked disturbs nothing that works. Only a board from which nothing at all comes is
interrupted (Ctrl-C), to see whether MicroPython lives, and is started anew then. A dead port is told within five
seconds. Over the cable nothing is a secret of the doctor's: it asks for none.
"""

import ast
import contextlib
import io
import time
from collections.abc import Callable

import serial

from firmware.version import VERSION
from host_tools.boards.provisioning import STATES, UNDER_WAY
from host_tools.boards.serial_console import SerialConsole
from host_tools.doctor import facts, words
from host_tools.doctor.facts import HEALTH, HELLO
from host_tools.doctor.findings import ERROR, NOTE, OK, WARNING, Findings
from host_tools.doctor.log_lines import parse
from host_tools.errors import HostError
from host_tools.text import printable

_HELLO_S = 2.5  # of silence: nothing answers
_STARTING_S = 25  # something is printed: it may be starting
_ASK_S = 5
_REPL_S = 1.5
_MAX_LINES = 40
_OLDEST = (1, 25)
_LOW_HEAP, _NO_HEAP = 4096, 1024
_LOW_FLASH = 65536
_SAFE_STARTS, _MINIMAL_STARTS = 10, 5  # boot.py, main.py
_STARTS = ("rst:", "ESP-ROM", "ets ", "boot:", "load:", "entry ", "I (", "MPY:", "MicroPython", "safe mode:")
_LOOK = """
import sys, os, gc
d = {'micropython': list(sys.implementation[1][:3]), 'board': getattr(sys.implementation, '_machine', sys.platform)}
for k in ('role', 'slot'):
    try:
        d[k] = open('/' + k).read(64).strip()
    except OSError:
        d[k] = None
try:
    d['files'] = os.listdir('/')
except OSError:
    d['files'] = []
try:
    s = os.statvfs('/')
    d['flash'] = s[1] * s[2]; d['flash_free'] = s[0] * s[3]
except OSError:
    pass
try:
    import machine
    m = machine.RTC().memory()
    d['starts'] = m[3] if m[:3] == b'GH2' else 0
except Exception:
    d['starts'] = None
print(repr(d))
"""


def look(port: str, step: Callable[[str], None] = lambda text: None) -> dict:
    """What the port says -> `open` (an error, or None), `lines` that were printed, `hello`, `health`, `repl`."""
    found: dict = {"open": None, "lines": [], "hello": {}, "health": {}, "repl": {}}
    heard: list[str] = found["lines"]

    def hear(line: str) -> None:
        heard.append(printable(line, 200))
        del heard[:-_MAX_LINES]

    try:
        console = SerialConsole(port, on_line=hear)
    except HostError as error:
        found["open"] = str(error)
        return found
    try:
        step("asking")
        found["hello"] = _hello(console, heard)
        if found["hello"].get("role") == "gateway":
            with contextlib.suppress(HostError):
                reply = console.ask({"do": "health"}, _ASK_S)
                found["health"] = facts.read(reply.get("health"), HEALTH)
    except HostError as error:
        if error.code == "link":
            found["open"] = str(error)
    finally:
        console.close()
    if not found["hello"] and found["open"] is None:
        step("looking for MicroPython")
        found["repl"] = _repl(port, is_prompt=any(">>>" in line for line in [*heard, console.unfinished]))
    return found


def shown_settings(port: str) -> dict:
    """The settings of a gateway as its console shows them; {} where it does not."""
    with contextlib.suppress(HostError), SerialConsole(port) as console:
        reply = console.ask({"do": "settings"}, _ASK_S)
        return facts.part(reply, "settings")
    return {}


def _hello(console: SerialConsole, heard: list[str]) -> dict:
    """{} where nothing answers. A board that prints and has no prompt may be starting."""
    until_s = time.monotonic() + _STARTING_S
    while True:
        try:
            return facts.read(console.ask({"do": "hello"}, _HELLO_S, repeat=True), HELLO)
        except HostError as error:
            if error.code != "link_timeout":
                raise
            is_prompt = any(">>>" in line for line in [*heard, console.unfinished])
            if is_prompt or not any(map(_is_of_a_start, heard)) or time.monotonic() > until_s:
                return {}


def _is_of_a_start(line: str) -> bool:
    """Whether a boot loader, MicroPython or our firmware has printed it."""
    return parse(line).level is not None or line.startswith(_STARTS)


def _repl(port: str, is_prompt: bool) -> dict:
    """What MicroPython says of the board, {} where none answers, or where the tools for boards are not installed. Where
    no prompt was waiting, it is started anew."""
    try:
        from mpremote.transport import TransportError
        from mpremote.transport_serial import SerialTransport
    except ImportError:  # without the extra `flash`
        return {}
    board = None
    try:
        board = SerialTransport(port, baudrate=115200)
        board.serial.timeout = 0.1
        with contextlib.redirect_stdout(io.StringIO()):  # where mpremote prints what it did not understand
            board.enter_raw_repl(soft_reset=False, timeout_overall=_REPL_S)
        said = board.exec(_LOOK, timeout=_ASK_S).decode(errors="replace").strip().splitlines()
        value = ast.literal_eval(said[-1]) if said else {}
        if not is_prompt:
            with contextlib.suppress(TransportError, OSError, serial.SerialException):
                board.exec_raw_no_follow("import machine; machine.reset()")
        else:
            board.exit_raw_repl()
        return value if isinstance(value, dict) else {}
    except (TransportError, OSError, serial.SerialException, ValueError, SyntaxError, MemoryError, RecursionError):
        return {}
    finally:
        if board is not None:
            with contextlib.suppress(OSError, serial.SerialException):
                board.close()


def judge(port: str, found: dict) -> Findings:
    """Findings about a port, whatever it has said."""
    told = Findings(port)
    if found.get("open") is not None:
        told.add("port", ERROR, str(found["open"]))
        return told
    hello = facts.read(found.get("hello"), HELLO)
    if not hello.get("role"):
        _judge_silent(told, facts.part(found, "repl"), facts.items(found, "lines"))
        return told
    health = facts.read(found.get("health"), HEALTH)
    name = "%s %s" % (hello["role"], hello.get("id") or "without an id")
    told.add("board", OK, name)
    _judge_micropython(told, health.get("micropython"), health.get("board") or hello.get("board"))
    judge_version(told, hello.get("version"))
    judge_start(told, facts.part(hello, "restart") or facts.part(health, "restart"), health.get("boot"))
    _judge_lines(told, facts.items(found, "lines"))
    if hello["role"] == "gateway":
        _judge_settings(told, hello)
        _judge_way(told, hello)
        _judge_board(told, health)
    elif hello["role"] != "lock":
        told.add("role", ERROR, "it says that it is %r" % hello["role"])
    return told


def _judge_silent(told: Findings, repl: dict, lines: list) -> None:
    if not repl:
        printed = "; it prints: %s" % lines[-1] if lines else ""
        told.add("board", ERROR, "nothing on this port answers%s" % printed)
        _judge_lines(told, lines)
        return
    told.add("board", OK, "a board with MicroPython: %s" % (repl.get("board"),))
    version = repl.get("micropython")
    numbers = [part for part in version if isinstance(part, int)] if isinstance(version, list) else []
    _judge_micropython(told, ".".join(map(str, numbers)), None)
    starts = repl.get("starts")
    if isinstance(starts, int) and starts >= _SAFE_STARTS:
        told.add("safe_mode", ERROR, "its program ended %d times in a row, each within a minute" % starts)
    files = repl.get("files")
    role = repl.get("role")
    if not isinstance(files, list) or "main.py" not in files or role not in ("gateway", "lock"):
        told.add("firmware", ERROR, "MicroPython answers, and there is no firmware of Gatehouse on the board")
    elif not (isinstance(starts, int) and starts >= _SAFE_STARTS):
        told.add("firmware", ERROR, "the firmware of a %s is on it, and does not run" % role)
    _judge_flash(told, repl.get("flash"), repl.get("flash_free"))
    _judge_lines(told, lines)


def _judge_micropython(told: Findings, version: object, board: object) -> None:
    numbers = words.version(version)
    if numbers is None:
        told.add("micropython", NOTE, "which MicroPython it runs is not known")
        return
    text = "MicroPython %s%s" % (version, " on %s" % board if board else "")
    told.judge("micropython", numbers[:2] >= _OLDEST, text, "%s is too old" % text)


def is_behind(version: object) -> bool:
    """Whether a board's version is older than this program's."""
    theirs, ours = words.version(version), words.version(VERSION)
    return theirs is not None and ours is not None and theirs < ours


def judge_version(told: Findings, version: object) -> None:
    if words.version(version) is None:
        told.add("version", NOTE, "its version is not known")
    elif is_behind(version):
        told.add("version", WARNING, "version %s, older than this program's %s" % (version, VERSION))
    else:
        told.add("version", OK, "version %s" % (version,))


def judge_start(told: Findings, restart: dict, boot: object) -> None:
    if not restart:
        told.add("boots", NOTE, "why it started is not known")
        return
    sentence, is_fault = words.start(restart)
    told.add("last_words" if is_fault else "boots", WARNING if is_fault else OK, sentence)
    counts = facts.part(restart, "counts")
    faults = words.faults({key: each for key, each in counts.items() if isinstance(each, int)})
    if faults:
        told.add("restarts", WARNING, "restarts since its power came on: %s" % words.counted(faults))
    if isinstance(boot, int):
        told.add("boots", OK, "it has started %d times in all" % boot)
    if restart.get("minimal"):
        told.add("minimal_mode", ERROR, "minimal mode: %d starts in a row did not last" % _MINIMAL_STARTS)
    if restart.get("trial"):
        told.add("update_trial", NOTE, "what it runs is an update on trial")


def _judge_lines(told: Findings, lines: list) -> None:
    """An error that it printed while we listened."""
    texts = [str(each) for each in lines]
    at = max((place for place, each in enumerate(texts) if "Traceback (most recent" in each), default=None)
    if at is not None:
        told.add("last_words", WARNING, "it has just printed: %s" % " / ".join(each.strip(" |") for each in texts[at:]))
    if any(each.startswith("safe mode:") for each in texts):
        told.add("safe_mode", ERROR, next(each for each in texts if each.startswith("safe mode:")))


def _judge_settings(told: Findings, hello: dict) -> None:
    faults = [str(each) for each in facts.items(hello, "faults")]
    if faults:
        told.add("settings", ERROR, "its settings cannot be used: %s" % "; ".join(faults))
    else:
        told.judge("settings", hello.get("provisioned"), "its settings are complete", "it has no settings")
    told.judge("owner", hello.get("owner"), "it has an owner", "it has no owner: it obeys no signed command", WARNING)


def _judge_way(told: Findings, hello: dict) -> None:
    """How far the way to the broker goes."""
    now = facts.part(hello, "connection")
    word = now.get("state")
    if not isinstance(word, str):
        return
    failures = now.get("failures") if isinstance(now.get("failures"), int) else 0
    is_wifi = word == "joining" or word.startswith("wifi") or word == "address"
    code = "wifi" if is_wifi else "broker"
    if not is_wifi:
        told.add("wifi", OK, "it is in its Wi-Fi")
    if word == "online":
        told.add("broker", OK, "it is at its broker")
    elif word in STATES:
        told.add(code, ERROR, *way(word, now.get("msg")))
    elif word in UNDER_WAY:
        told.add(code, WARNING if failures else NOTE, UNDER_WAY[word])
    else:
        told.add(code, ERROR, "the way to the broker ends at %r" % word)


_UNNAMED = {
    "wifi_ssid": "of its settings",
    "mqtt_host": "its broker",
    "mqtt_port": 0,
    "mqtt_user": "of its settings",
    "mqtt_base": "its base",
}


def way(word: str, msg: object) -> tuple[str, str]:
    """A word of docs/operations.md, "Connection" -> (its sentence without names, what to do)."""
    sentence, todo = (text % _UNNAMED for text in STATES[word])
    sentence = sentence.replace(", port 0", "").replace("'of its settings'", "of its settings")
    return "%s%s" % (sentence, " (%s)" % msg if msg else ""), todo


def _judge_board(told: Findings, health: dict) -> None:
    if not health:
        return
    clock = health.get("clock")
    if clock is not None:
        is_trusted = clock == "trusted"
        told.add("clock", OK if is_trusted else WARNING, "its clock is %s" % (clock if is_trusted else "not trusted"))
    judge_heap(told, health.get("heap_low", health.get("heap")))
    _judge_flash(told, health.get("flash"), health.get("flash_free"))


def judge_heap(told: Findings, octets: object) -> None:
    """The least memory that was free."""
    if not isinstance(octets, int):
        return
    severity = OK if octets >= _LOW_HEAP else WARNING if octets >= _NO_HEAP else ERROR
    told.add("memory", severity, "%s of memory free at the least" % words.kib(octets))


def _judge_flash(told: Findings, total: object, free: object) -> None:
    if not isinstance(total, int) or not isinstance(free, int):
        return
    text = "%s of %s of its flash free" % (words.kib(free), words.kib(total))
    told.add("flash", OK if free >= _LOW_FLASH else WARNING, text)
