# The board's line to the simulated site: pins, watchdog, Wi-Fi, resets, leaps. JSON arrays, one a line, verb first.
# Part of the shims; the site's end is host_tools/sim/board/ports.py.
#
#   SIM_BOARD=host:port   where the site listens; without it the shims work alone: nothing moves, resets end the process
#   SIM_MAC=12 hex        base MAC of the board
#
# Nothing here runs in a thread: the line is looked at while the board waits (asyncio, sleep) and when an input is read.
import json
import os
import select
import socket
import sys

import _whole

_IPPROTO_TCP = 6
_TCP_NODELAY = 1

host = None  # a VfsPosix, for shims only, and the path of the flash image in it; sim_start sets both
image = None
handlers = {}  # verb -> function(arguments), run on the main thread
inputs = {}  # what the site has put on the pins: number -> level
analog = {}  # and on the converters: number -> 0 to 65535
on_input = None  # function(number, level) of the pins' interrupts, called on a change
_holds = 0  # that have ended
is_hold_wanted = False  # the site waits for this board to stand still, see `hold`

_sock = None
_poll = None
_rest = b""
_welcome = {}


def mac():
    return bytes(int((os.getenv("SIM_MAC") or "240ac4000000")[at : at + 2], 16) for at in range(0, 12, 2))


def welcome():
    # What the site says about this start: reset cause, leap, clock, inputs. Opens the line at first use.
    global _sock, _poll, _welcome
    if _sock is None and os.getenv("SIM_BOARD"):
        name, port = os.getenv("SIM_BOARD").split(":")
        _sock = socket.socket()
        _sock.connect(socket.getaddrinfo(name, int(port))[0][-1])
        _sock.setsockopt(_IPPROTO_TCP, _TCP_NODELAY, 1)
        _poll = select.poll()
        _poll.register(_sock, select.POLLIN)
        post("hello", os.getenv("SIM_MAC"))
        line = _sock.readline()
        if not line:
            _gone()
        _welcome = json.loads(line)[1]
        for into, name in ((inputs, "inputs"), (analog, "adc")):
            for number, level in _welcome.get(name, {}).items():
                into[int(number)] = level
        handlers["in"] = _on_in
        handlers["adc"] = _on_adc
        handlers["hold"] = _on_hold
        handlers["go"] = _on_go
    return _welcome


def _on_in(number, level):
    if inputs.get(number) != level:
        inputs[number] = level
        if on_input is not None:
            on_input(number, level)


def _on_adc(number, level):
    analog[number] = level


def _on_hold():
    global is_hold_wanted
    is_hold_wanted = True


def _on_go():
    global is_hold_wanted, _holds
    is_hold_wanted = False
    _holds += 1


def hold():
    # Stand still until the site says "go"; a leap comes before that, or none. For a moment at which the program waits,
    # with all that it was sent handled: nothing that it has under way is torn by the leap.
    held = _holds
    _whole.begin()
    try:
        post("held")
        while _holds == held and _sock is not None:  # the next "hold" may have come with the "go" of this one
            _poll.poll(-1)
            pump()
    finally:
        _whole.end()


def stream():
    # the socket, for the event loop to wait on, or None
    return _sock


def post(*message):
    if _sock is not None:
        _whole.begin()
        try:
            _sock.write(json.dumps(message) + "\n")
        except OSError:
            _gone()
        finally:
            _whole.end()


def pump():
    # Act on whatever the site has sent. Never waits.
    global _rest
    if _sock is None or not _poll.poll(0):
        return
    _whole.begin()
    try:
        while _sock is not None and _poll.poll(0):
            part = _sock.recv(512)
            if not part:
                _gone()
            lines = (_rest + part).split(b"\n")
            _rest = lines.pop()
            for line in lines:
                message = json.loads(line)
                handler = handlers.get(message[0])
                if handler is not None:
                    handler(*message[1:])
    finally:
        _whole.end()


def ask(*question):
    # a question to the site -> its answer
    answers = []
    handlers["answer"] = answers.append
    _whole.begin()
    try:
        post("ask", *question)
        while not answers and _sock is not None:
            _poll.poll(-1)
            pump()
    finally:
        _whole.end()
    return answers[0]


def end(*how):
    # Ask for the end of this process, ("reset",), ("soft",), ("cut",) or ("deepsleep", ms, pins), and wait for it. The
    # site kills, as a chip's reset does, so no `finally` of the program runs, and nobody interrupts this any more.
    if _sock is not None:
        _whole.begin()
        post("end", *how)
        while _sock.recv(64):
            pass
    sys.exit()


def _gone():
    # The site has ended: so does the board.
    global _sock
    _sock = None
    sys.exit()
