"""The gateway's log over MQTT, for some minutes, because its owner asks for it (operation `log`). Loaded for that and
let go of; while nobody asks it costs nothing.

Owns a bounded tail of lines and the messages on `gatehouse/<gw>/log`: QoS 0, at most one each second, signed under the
key of whoever asked, none when there is nothing to say. What the lines say, and that they hold no secret, is `log`'s
(security.md LOG-1 to LOG-4). Where the broker is away the newest lines wait.

{"n":3,"left_s":512,"dropped":0,"lines":["  12.408 I link connected ..."]}; the last one has left_s 0.
"""

import json

from firmware.gateway.operations.arguments import number, only
from firmware.lib import envelope
from firmware.lib.compat import const

_MAX_MIN = const(60)
_DEFAULT_MIN = const(10)
_KEPT = const(2048)  # characters of lines that wait
_MESSAGE = const(640)  # of one message: what a board has at hand in one piece
_LINE = const(240)


def minutes(args):
    """Arguments of `log` -> for how many minutes; 0 ends it. Raises BadRequest."""
    return number(only(args, "minutes"), "minutes", 0, _MAX_MIN, _DEFAULT_MIN)


class Tail:
    """`log` is the Log whose lines are kept from now on; `offer(topic, payload)` sends a message of QoS 0, or returns
    False; `key` signs, until second `until_s` of `now_s`."""

    def __init__(self, log, offer, topic, key, now_s, until_s):
        self._log = log
        self._offer = offer
        self._topic = topic
        self._key = key
        self._now_s = now_s
        self.until_s = until_s
        self._lines = []
        self._size = 0
        self._dropped = 0
        self._number = 0
        self._print = log.sink
        log.sink = self._take

    def _take(self, line):
        self._print(line)
        try:
            line = line[:_LINE]
            self._lines.append(line)
            self._size += len(line)
            while self._size > _KEPT:
                self._size -= len(self._lines.pop(0))
                self._dropped += 1
        except MemoryError:  # a log line must not end what logs
            self._dropped += 1

    def step(self):
        """Each second: send what waits. False once it is over."""
        left_s = max(0, self.until_s - self._now_s())
        if self._lines or not left_s:
            count = size = 0
            while count < len(self._lines) and size + len(self._lines[count]) <= _MESSAGE:
                size += len(self._lines[count])
                count += 1
            body = {"n": self._number, "left_s": left_s, "dropped": self._dropped, "lines": self._lines[:count]}
            payload = envelope.sign(self._key, self._topic, json.dumps(body))
            if self._offer(self._topic, payload):
                self._number += 1
                self._size -= size
                self._lines[:count] = []
        return left_s > 0

    def end(self):
        """The log prints as before."""
        self._log.sink = self._print
