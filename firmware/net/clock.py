"""The gateway's time: SNTP over UDP, monotonic in between. Owns the socket and the schedule; whether a sample is
believed, and a sample's bytes, are `lib/timekeeper`'s.
"""

import os

from firmware.lib.compat import const
from firmware.lib.errors import NetError, ProtocolError
from firmware.lib.timekeeper import TRUSTED, Timekeeper, decode_reply, encode_request
from firmware.net.udp import ask
from firmware.system.timing import Uptime, jittered_ms, next_pause, ticks_diff, ticks_ms

_ANSWER_MS = const(2000)
_ASKING_MS = const(15000)  # the name first
_BETWEEN_S = const(2)  # from the first sample to the one that confirms it
_CONFIRM_S = const(61)  # the same for a jump of a trusted clock
_RESYNC_S = const(3600)
_BUILD_UNIX = const(1767225600)  # 2026-01-01: no board with this firmware has seen an earlier day
_SPACE = "gatehouse"
_KEY = "last_time"


class Clock:
    """Asks `host` for the time, hourly once trusted. `board` has nvs_get, nvs_set, unix_now and set_rtc; `resolve` is
    `Resolver.address`, or None where `host` is an address."""

    def __init__(self, board, host, log, port=123, resolve=None):
        self._resolve = resolve
        self._board = board
        self._host = host
        self._port = port
        self._log = log.area("clock")
        self._mono_ms = Uptime().now_ms
        stored = board.nvs_get(_SPACE, _KEY)
        floor_s = max(_BUILD_UNIX, int.from_bytes(stored, "big") if stored else 0)
        self._keeper = Timekeeper(floor_s * 1000)
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
    def drift_ms(self):
        """How far the last correction moved a trusted clock; None before there was one."""
        return self._keeper.drift_ms

    def now_ms(self):
        """Unix milliseconds, else as `now`."""
        return self._keeper.now_ms(self._mono_ms())

    def now(self):
        """Unix seconds; not below the floor, and only to be relied on while `trusted`."""
        return self.now_ms() // 1000

    def signed(self, unix_s):
        """The `iat` of a signed command whose nonce is young (mqtt.md 2, "Time"): an authenticated source, which counts
        while no other has told the time. True when the clock is trusted now."""
        if not self.trusted:
            moved_ms = self._keeper.signed(unix_s * 1000, self._mono_ms())
            if moved_ms is None:
                self._log.warn("signed_too_early", unix=unix_s)
                return False
            self._accepted(moved_ms)
        return True

    async def run(self, lease):
        """Sample for ever. `run` or `now` must be called at least every six days, as ticks wrap."""
        pause_s = 0
        while True:
            try:
                lease.renew(_ASKING_MS)
                moved_ms = self._keeper.sample(await self._ask(), self._mono_ms())
                pause_s = 0
            except (NetError, ProtocolError) as err:
                pause_s = next_pause(pause_s, 0, _BETWEEN_S)
                self._log.warn("no_answer", host=self._host, why=err, pause_s=pause_s)
                await lease.sleep_ms(jittered_ms(pause_s, os.urandom(1)[0]))
                continue
            if moved_ms is not None:
                self._accepted(moved_ms)
                await lease.sleep_ms(_RESYNC_S * 1000)
            elif self.trusted:
                self._log.warn("jump_unconfirmed", pending=self._keeper.is_pending)
                await lease.sleep_ms(_CONFIRM_S * 1000)
            else:
                await lease.sleep_ms(_BETWEEN_S * 1000)

    def _accepted(self, moved_ms):
        now_s = self.now()
        word = "synced" if -5000 <= moved_ms <= 5000 else "jumped"
        self._log.info(word, unix=now_s, moved_ms=moved_ms)
        self._board.set_rtc(now_s)
        floor_ms = self._keeper.floor_to_keep(self._mono_ms())
        if floor_ms is not None:
            self._board.nvs_set(_SPACE, _KEY, (floor_ms // 1000).to_bytes(8, "big"))
            self._log.info("floor", unix=floor_ms // 1000)

    async def _ask(self):
        """One exchange -> Unix milliseconds now, half of the round trip added. Raises NetError, ProtocolError."""
        token = os.urandom(8)
        address = await self._resolve(self._host) if self._resolve else self._host
        sent_ms = ticks_ms()
        reply = await ask(address, self._port, encode_request(token), _ANSWER_MS, 64)
        return decode_reply(reply, token) + ticks_diff(ticks_ms(), sent_ms) // 2
