"""The gateway's time: SNTP over UDP, monotonic in between. Owns the socket and the schedule; whether a sample is
believed, and a sample's bytes, are `lib/timekeeper`'s.
"""

import os

from firmware.lib.compat import const
from firmware.lib.errors import NetError, ProtocolError
from firmware.lib.timekeeper import TRUSTED, Timekeeper, agreed, decode_reply, encode_request
from firmware.net.udp import ask
from firmware.system.timing import Uptime, jittered_ms, next_pause, ticks_diff, ticks_ms

_ANSWER_MS = const(2000)
_ASKING_MS = const(15000)  # the name first
_BETWEEN_S = const(2)  # from the first sample to the one that confirms it
_CONFIRM_S = const(61)  # the same for a jump of a trusted clock
_RESYNC_S = const(3600)
_DAY_MS = const(86400000)
_SPACE = "gatehouse"
_KEY = "last_time"


class Clock:
    """Asks `hosts` for the time, hourly once trusted: names or addresses, each perhaps with `:port`. `board` has
    nvs_get, nvs_set, unix_now and set_rtc; `resolve` is `Resolver.address`, or None where `hosts` are addresses; no
    time is before `built_s`."""

    def __init__(self, board, hosts, log, port=123, resolve=None, built_s=0):
        self._resolve = resolve
        self._board = board
        self._hosts = hosts
        self._port = port
        self._log = log.area("clock")
        self._mono_ms = Uptime().now_ms
        stored = board.nvs_get(_SPACE, _KEY)
        floor_s = max(built_s, int.from_bytes(stored, "big") if stored else 0)
        self._keeper = Timekeeper(floor_s * 1000, built_s * 1000)
        self._trip_ms = 0  # the longest half of a round trip in this round of questions
        self.jumped_s = 0  # when the trusted time was last moved by more than 5 s
        self.on_trusted = None  # called when it has become so
        rtc_s = board.unix_now()
        if rtc_s < floor_s:
            board.set_rtc(floor_s)  # TLS checks certificates against it before a server has answered
        self._keeper.guess(rtc_s * 1000, 0)

    @property
    def trusted(self):
        """True once expiry times may be judged by `now`."""
        return self._keeper.state == TRUSTED

    @property
    def state(self):
        """`floor` or `trusted`."""
        return self._keeper.state

    @property
    def drift(self):
        """[seconds a day that our count gains, how uncertain that is], or None."""
        pair = self._keeper.rate
        return None if pair is None else [pair[0] / 1000, pair[1] / 1000]

    @property
    def drift_ms(self):
        """How far the last correction moved a trusted clock; None before there was one."""
        return self._keeper.drift_ms

    def now_ms(self):
        """Unix milliseconds, else as `now`."""
        return self._keeper.now_ms(self._mono_ms())

    def now(self):
        """Unix seconds; not below the floor, and only to be relied on while `trusted`."""
        return self.now_ms() // 1000

    @property
    def is_signed(self):
        """True while a signed time of the last day stands behind `now`: then a lock's clock may be moved far."""
        age_ms = self._keeper.signed_age_ms(self._mono_ms())
        return age_ms is not None and age_ms <= _DAY_MS

    def uptime(self):
        """Seconds that nobody sets."""
        return self._mono_ms() // 1000

    def signed(self, unix_s, age_s, is_authority):
        """The `iat` of a signed command whose nonce is young, `age_s` (mqtt.md 2.1, "Time"). `is_authority`: its issuer
        may set every clock. What becomes of it says `trusted`, and `now`."""
        was_trusted = self.trusted
        moved_ms = self._keeper.signed(unix_s * 1000, self._mono_ms(), age_s * 1000, is_authority)
        if moved_ms or self.trusted != was_trusted:
            self._accepted(moved_ms, was_trusted)
        elif not was_trusted:
            self._log.warn("signed_too_early", unix=unix_s)

    async def run(self, lease):
        """Sample for ever. `run` or `now` must be called at least every six days, as ticks wrap."""
        pause_s = 0
        while True:
            offset_ms = await self._ask_all(lease)
            if offset_ms is None:
                pause_s = next_pause(pause_s, 0, _BETWEEN_S)
                self._log.warn("no_agreement", servers=len(self._hosts), pause_s=pause_s)
                await lease.sleep_ms(jittered_ms(pause_s, os.urandom(1)[0]))
                continue
            pause_s = 0
            mono_ms = self._mono_ms()
            was_trusted = self.trusted
            moved_ms = self._keeper.sample(mono_ms + offset_ms, mono_ms, self._trip_ms)
            if moved_ms is not None:
                self._accepted(moved_ms, was_trusted)
                await lease.sleep_ms(_RESYNC_S * 1000)
            elif self.trusted:
                self._log.warn("jump_unconfirmed", pending=self._keeper.is_pending)
                await lease.sleep_ms(_CONFIRM_S * 1000)
            else:
                await lease.sleep_ms(_BETWEEN_S * 1000)

    def _accepted(self, moved_ms, was_trusted):
        now_s = self.now()
        if not was_trusted and self.on_trusted:
            self.on_trusted()
        elif not -5000 <= moved_ms <= 5000:
            self.jumped_s = now_s
        word = "synced" if -5000 <= moved_ms <= 5000 else "jumped"
        self._log.info(word, unix=now_s, moved_ms=moved_ms)
        self._board.set_rtc(now_s)
        floor_ms = self._keeper.floor_to_keep(self._mono_ms())
        if floor_ms is not None:
            self._board.nvs_set(_SPACE, _KEY, (floor_ms // 1000).to_bytes(8, "big"))
            self._log.info("floor", unix=floor_ms // 1000)

    async def _ask_all(self, lease):
        """Ask every server -> the offset that they agree on, or None. Two names of one address are one server."""
        told = {}
        self._trip_ms = 0
        for host in self._hosts:
            lease.renew(_ASKING_MS)
            name, _, port = host.partition(":")
            try:
                where = await self._resolve(name) if self._resolve else name, int(port or self._port)
                if where not in told:
                    told[where] = await self._ask(*where)
            except (NetError, ProtocolError) as err:
                self._log.warn("no_answer", host=host, why=err)
        return agreed(told.values(), len(self._hosts))

    async def _ask(self, address, port):
        """One exchange -> how far Unix time is ahead of our count, in milliseconds, half of the round trip added.
        Raises NetError, ProtocolError."""
        token = os.urandom(8)
        sent_ms = ticks_ms()
        reply = await ask(address, port, encode_request(token), _ANSWER_MS, 64)
        trip_ms = ticks_diff(ticks_ms(), sent_ms) // 2
        self._trip_ms = max(self._trip_ms, trip_ms)
        return decode_reply(reply, token) + trip_ms - self._mono_ms()
