"""The add window (domain.md 6.1): for some minutes a gateway that nobody has set up, or whose button was pressed, lets
a phone or a host tool give it Wi-Fi, broker and owner over Bluetooth. Owns what the endpoints answer and when it ends.
No broker and no lock is served meanwhile; all of this is loaded for the window only.

The protocol is Espressif's (`protocomm`, `security1`). Answers are made in the event handler. What goes to flash, or
takes its time, is done by the job: joining a network, and the requests of our own endpoint, which are those of the
serial console (`provisioning`), with the same checks.
"""

import asyncio
import json

from firmware.lib import crypto, protobuf, protocomm, security1, x25519
from firmware.lib.compat import const, decode_utf8, loads_object
from firmware.lib.errors import AuthError, BadRequest, FirmwareError, NetError, ProtocolError
from firmware.system.console import answer
from firmware.system.timing import ThreadSafeFlag, remaining_ms, sleep_ms, ticks_add, ticks_diff, ticks_ms, wait_for_ms
from firmware.version import VERSION

LATE = (
    "firmware.gateway.window",
    "firmware.ble.endpoints",
    "firmware.lib.security1",
    "firmware.lib.protocomm",
    "firmware.lib.protobuf",
    "firmware.lib.x25519",
)
BLANK_S = 300
ASKED_S = 120
_GUESSES = const(5)  # wrong proofs of possession, after which the window ends
_STEP_MS = const(500)
_MORE_MS = const(60000)  # the window stays open for so long after each message of an open session
_SILENT_MS = const(60000)  # a central that proves nothing, or says nothing, holds the one link no longer
_TYPING_MS = const(300000)  # a person looks for a password
_REFUSED_MS = const(2000)  # so that the answer can be read before the link ends
_MAX_REQUEST = const(4096)
_MAX_NETWORKS = const(20)
_OVER_AIR = ("hello", "settings", "set", "put", "own", "reboot")
_MIN_PASSWORD = const(8)
_ROOM = const(480)


class Window:
    """`console` is the gateway's Provisioning. `make_wifi(ssid, password)` and `make_server(service, endpoints,
    on_open, on_write, on_close)` give the edges; `show(word)` is for the light. `run` ends when the window does."""

    def __init__(self, pop, ident, console, make_wifi, make_server, show, log, open_s=BLANK_S):
        self._ident = ident
        self._console = console
        self._make_wifi = make_wifi
        self._show = show
        self._log = log.area("window")
        self._pop = pop.encode()
        self._name = protocomm.device_name(ident)
        self._until_ms = ticks_add(ticks_ms(), open_s * 1000)
        self._flag = ThreadSafeFlag()
        self.pair = None
        self._session: security1.Session | None = None
        self._guesses = 0
        self._heard_ms = self._drop_ms = None
        self._is_advertised = False
        self._request = bytearray()
        self._is_asked = False
        self._reply = b""
        self._wanted: tuple | None = None  # (SSID, password) of prov-config
        self._is_applied = False
        self._state = protocomm.DISCONNECTED
        self._reason = None
        self._told = b""
        self._networks: list = []
        self._wifi = make_wifi("", "")
        self.connection = ("joining", 0, "")  # as Gateway.connection, for `hello`
        table = [(name, protocomm.characteristic(number)) for name, number in protocomm.ENDPOINTS]
        self._server = make_server(protocomm.SERVICE, table, self._opened, self._written, self._closed)

    # --- the job

    async def run(self, lease):
        """Serve until the window's time is over, or too many have guessed."""
        self._log.info("open", name=self._name)
        try:
            while not self.is_over():
                await self.step(lease)
        finally:
            self._server.close()
            self._wifi.stop()
        self._log.info("closed", guesses=self._guesses)

    def is_over(self):
        """Whether its time is over, or too many have guessed."""
        if self._guesses >= _GUESSES:
            return not self._server.is_linked
        session = self._session
        return not remaining_ms(self._until_ms) and not (session and session.is_open and self._server.is_linked)

    async def step(self, lease):
        """One round: what is due, then a wait until something comes."""
        linked = self._server.is_linked
        self._show("provisioning" if linked else "unprovisioned")
        if not linked and self.pair is None:
            await self._make_pair(lease)
        if not linked and not self._is_advertised and self.pair is not None:
            self._is_advertised = True
            try:
                self._server.advertise(self._name)
            except OSError as err:  # a central is connecting this moment
                self._is_advertised = False
                self._log.warn("advertise_failed", err=err)
        if self._is_applied:
            await self._join(lease)
        if self._is_asked:
            await self._answer()
        if linked and self._is_silent():
            self._server.drop()
        lease.renew(_STEP_MS)
        try:
            await wait_for_ms(self._flag.wait(), _STEP_MS)
        except asyncio.TimeoutError:
            pass

    async def _make_pair(self, lease):
        """A fresh key for the next link, before anybody can open it."""
        secret = crypto.new_key(32)
        public = None
        for public in x25519.steps(secret, x25519.BASE):
            lease.renew()
            await sleep_ms(0)
        self.pair = (secret, public)

    def _is_silent(self):
        now_ms = ticks_ms()
        if self._drop_ms is not None and ticks_diff(now_ms, self._drop_ms) >= 0:
            return True
        heard_ms = self._heard_ms
        limit_ms = _TYPING_MS if self._session and self._session.is_open else _SILENT_MS
        return heard_ms is not None and ticks_diff(now_ms, heard_ms) > limit_ms

    async def _join(self, lease):
        """Try the network that prov-config has named, and keep it when it lets the gateway in."""
        self._is_applied = False
        ssid, password = self._wanted or ("", "")
        self._wifi.stop()
        wifi = self._wifi = self._make_wifi(ssid, password)
        try:
            await wifi.join(lease)
            self._console.keep_wifi(ssid, password)
            told = wifi.joined()
            self._told = protocomm.connected_body(told[0], protocomm.WPA2 if password else 0, ssid.encode(), told[1])
            self._state = protocomm.CONNECTED
            self.connection = ("connecting", 0, "")
            self._log.info("joined", address=told[0])
        except NetError as err:
            self.connection = (err.step, self.connection[1] + 1, str(err))
            is_password = err.step == "wifi_password"
            self._failed(protocomm.AUTH_ERROR if is_password else protocomm.NETWORK_NOT_FOUND, err)
        except FirmwareError as err:
            self._failed(protocomm.AUTH_ERROR, err)

    def _failed(self, reason, err):
        self._wifi.stop()
        self._reason = reason
        self._state = protocomm.FAILED
        self._log.warn("join_failed", err=err)

    async def _answer(self):
        """Do what a request of our own endpoint asks."""
        session = self._session
        try:
            request = loads_object(decode_utf8(self._request))
            reply = await answer(self._handle_some, request)
        except (ValueError, FirmwareError):
            reply = {"ok": False, "code": "bad_request", "msg": "no JSON object"}
        self._request = bytearray()
        if session is self._session:
            self._reply = json.dumps(reply).encode()
            self._is_asked = False

    def _handle_some(self, request):
        if request.get("do") not in _OVER_AIR:
            raise BadRequest("no such request over the air")
        return self._console.handle(request)

    # --- in the event handler

    def _opened(self):
        self._is_advertised = False
        self._forget()
        pair, self.pair = self.pair, None
        self._session = pair and security1.Session(self._pop, pair, crypto.random_bytes(16))
        self._heard_ms = ticks_ms()
        self._flag.set()

    def _closed(self):
        self._forget()
        self._is_advertised = False
        self._flag.set()

    def _forget(self):
        if self._session:
            self._session.end()
        self._session = self._drop_ms = None
        self._request = bytearray()
        self._is_asked = False
        self._reply = b""

    def _written(self, place, octets):
        """What was written to an endpoint -> the answer, or None: the session has ended then."""
        self._heard_ms = ticks_ms()
        session = self._session
        try:
            if place == 0:
                return self._version()
            if session is None:
                return None
            if place == 1:
                return self._shake(session, octets)
            plain = session.crypt(octets)
            made = (self._scan, self._config)[place - 2](plain) if place < 4 else self._own(session.macs, plain)
            if remaining_ms(self._until_ms) < _MORE_MS:
                self._until_ms = ticks_add(ticks_ms(), _MORE_MS)
            return session.crypt(made)
        except FirmwareError as err:
            self._end(err)
        except Exception as err:  # of whatever kind: the handler of events must live on
            self._end(type(err).__name__)
        return None

    def _shake(self, session, octets):
        try:
            made = session.handshake(octets)
        except AuthError as err:
            self._guesses += 1
            self._end(err)
            return security1.refusal()
        if session.is_open:
            self._log.info("session")
        return made

    def _end(self, why):
        self._log.warn("session_ended", why=why)
        if self._session:
            self._session.end()
        self._drop_ms = ticks_add(ticks_ms(), _REFUSED_MS)

    def _version(self):
        told = {
            "prov": {"ver": "v1.1", "sec_ver": 1, "cap": ["wifi_scan"]},
            "gatehouse": {"ver": 1, "id": self._ident, "version": VERSION},
        }
        return json.dumps(told).encode()

    def _scan(self, plain):
        kind, members = protocomm.decode_wifi(plain)
        status = 0
        body = b""
        if kind == protocomm.SCAN_START:
            try:
                self._networks = heard(self._wifi.scan())
            except OSError:  # the radio is joining
                status = protocomm.INTERNAL_ERROR
        elif kind == protocomm.SCAN_STATUS:
            body = protobuf.whole(1, 1) + protobuf.whole(2, len(self._networks))
        else:
            # a board's indices have 31 bits
            first = min(protobuf.number_in(members, 1), _MAX_NETWORKS)
            count = min(protobuf.number_in(members, 2), _MAX_NETWORKS)
            for ssid, bssid, channel, rssi_dbm, auth in self._networks[first : first + count]:
                entry = protocomm.network_body(ssid, channel, rssi_dbm, bssid, auth)
                if len(body) + len(entry) > _ROOM:
                    break
                body += entry
        return protocomm.encode_wifi(kind + 1, body, status)

    def _config(self, plain):
        kind, members = protocomm.decode_wifi(plain)
        if kind == protocomm.GET_STATUS:
            failed = self._reason if self._state == protocomm.FAILED else None
            told = self._told if self._state == protocomm.CONNECTED else None
            return protocomm.encode_wifi(kind + 1, protocomm.state_body(self._state, failed, told))
        status = protocomm.SUCCESS
        if kind == protocomm.SET_CONFIG:
            try:
                ssid, password = [decode_utf8(each) for each in protocomm.decode_config(members)]
                if 0 < len(password.encode()) < _MIN_PASSWORD:
                    raise ProtocolError("too short")
                self._wanted = ssid, password
            except ProtocolError:
                status = protocomm.INVALID_ARGUMENT
        elif self._wanted is None:
            status = protocomm.INVALID_ARGUMENT
        else:
            self._state = protocomm.CONNECTING
            self._is_applied = True
            self._flag.set()
        return protocomm.encode_wifi(kind + 1, protocomm.status_body(status))

    def _own(self, macs, plain):
        text = macs.unseal(security1.TO_DEVICE, plain)
        flag, part = text[0], text[1:]
        made = b""
        if part or flag != protocomm.DONE:
            if self._is_asked or flag > protocomm.MORE or len(self._request) + len(part) > _MAX_REQUEST:
                raise ProtocolError("a request too many, or too long")
            self._request += part
            self._reply = b""
            self._is_asked = flag == protocomm.DONE
            if self._is_asked:
                self._flag.set()
        if self._is_asked:
            flag = protocomm.BUSY
        else:
            made, self._reply = self._reply[: protocomm.PART], self._reply[protocomm.PART :]
            flag = protocomm.MORE if self._reply else protocomm.DONE
        return macs.seal(security1.TO_CLIENT, bytes((flag,)) + made)


def heard(networks):
    """What a scan gives -> [(ssid, bssid, channel, rssi_dbm, auth)], one for each name, the strongest first."""
    best: dict = {}
    for ssid, bssid, channel, rssi_dbm, auth, _ in networks:
        ssid = bytes(ssid)
        if ssid and (ssid not in best or best[ssid][3] < rssi_dbm):
            best[ssid] = (ssid, bytes(bssid), channel, rssi_dbm, auth)
    return sorted(best.values(), key=lambda each: -each[3])[:_MAX_NETWORKS]
