"""An add window without a radio: its server, Wi-Fi and console are kept here, and a client of the pure modules talks to
its endpoints as a central would."""

import json

from firmware.gateway.window import Window
from firmware.lib import crypto, protobuf, protocomm, security1, x25519
from firmware.lib.errors import ConfigError, NetError, ProtocolError

POP = "abcdefgh23456789"
VER, SESSION, SCAN, CONFIG, OWN = range(5)
SECRET = bytes(range(1, 33))
PUBLIC = x25519.public_key(SECRET)
DEVICE = bytes(range(101, 133)), x25519.public_key(bytes(range(101, 133)))


class Log:
    def __init__(self):
        self.lines = []

    def area(self, name):
        return self

    def info(self, event, **members):
        self.lines.append((event, members))

    warn = error = debug = info


class Lease:
    def renew(self, silence_ms=0):
        pass

    async def sleep_ms(self, pause_ms):
        pass


class Server:
    def __init__(self):
        self.is_linked = False
        self.drops = self.adverts = 0
        self.is_closed = False

    def made(self, service, table, on_open, on_write, on_close):
        self.service, self.table = service, table
        self._on_open, self.write, self._on_close = on_open, on_write, on_close
        return self

    def advertise(self, name):
        self.adverts += 1

    def open(self):
        self.is_linked = True
        self._on_open()

    def drop(self):
        self.drops += 1
        self.leave()

    def leave(self):
        if self.is_linked:
            self.is_linked = False
            self._on_close()

    def close(self):
        self.is_closed = True


class Wifi:
    """Networks by name: the password, or the word of the failure."""

    def __init__(self, rig, ssid, password):
        self._rig, self._ssid, self._password = rig, ssid, password

    async def join(self, lease):
        found = self._rig.networks.get(self._ssid)
        if found is None:
            raise NetError("reason 201", "wifi_name")
        if found != self._password:
            raise NetError("reason 202", "wifi_password")

    def joined(self):
        return "192.168.1.9", 6

    def stop(self):
        self._rig.stops += 1

    def scan(self):
        if self._rig.is_deaf:
            raise OSError(5)
        return self._rig.heard


class Console:
    def __init__(self):
        self.asked = []
        self.kept = []
        self.is_full = False

    def handle(self, request):
        self.asked.append(request)
        return {"ok": True, "echo": request, "long": "x" * request.get("size", 0)}

    def keep_wifi(self, ssid, password):
        if self.is_full:
            raise ConfigError("no room")
        self.kept.append((ssid, password))


class Rig:
    def __init__(self, open_s=300, console=None):
        self.networks = {"home": "password", "open": ""}
        self.heard: list = []
        self.is_deaf = False
        self.stops = 0
        self.words = []
        self.log = Log()
        self.server = Server()
        self.console = console or Console()
        self.window = Window(
            POP,
            "240ac4a00000",
            self.console,
            lambda ssid, password: Wifi(self, ssid, password),
            self.server.made,
            self.words.append,
            self.log,
            open_s,
        )
        self.window.pair = DEVICE

    async def step(self):
        await self.window.step(Lease())


class Client:
    """A central that knows the protocol. `raw` writes to an endpoint and returns what can be read then, or None."""

    def __init__(self, rig, pop=POP):
        self.rig = rig
        self.pop = pop.encode()
        self.stream = self.macs = None
        rig.window.pair = rig.window.pair or DEVICE
        rig.server.open()

    def raw(self, place, octets):
        return self.rig.server.write(place, octets)

    def hello(self):
        return protocomm.encode_session(protocomm.COMMAND0, protobuf.octets(1, PUBLIC))

    def proof(self, greeting):
        """The second message, for the answer to the first; the stream goes on behind it."""
        _, members = protocomm.decode_session(greeting)
        self.theirs = protobuf.octets_in(members, 2)
        key = security1.key_of(x25519.shared(SECRET, self.theirs), self.pop)
        self.stream = security1.Stream(key, protobuf.octets_in(members, 3))
        self.macs = security1.Macs(key)
        return protocomm.encode_session(protocomm.COMMAND1, protobuf.octets(2, self.stream.take(self.theirs)))

    def shake(self):
        """Whether the other end let us in, and proved itself."""
        answer = self.raw(SESSION, self.proof(self.raw(SESSION, self.hello())))
        kind, members = protocomm.decode_session(answer)
        proof = protobuf.octets_in(members, 3)
        return bool(proof) and self.stream.take(proof) == PUBLIC

    def send(self, place, plain):
        answer = self.raw(place, self.stream.take(plain))
        return None if answer is None else self.stream.take(answer)

    def wifi(self, place, kind, body=b""):
        """-> (members of the answer, status of a scan), or None when the session has ended."""
        answer = self.send(place, protocomm.encode_wifi(kind, body))
        if answer is None:
            return None
        outer = protobuf.message(answer)
        if protobuf.number_in(outer, 1) != kind + 1:
            raise ProtocolError("another answer")
        return protobuf.octets_in(outer, 11 + kind), protobuf.number_in(outer, 2)

    def frame(self, flag, part=b""):
        sealed = self.macs.seal(security1.TO_DEVICE, bytes((flag,)) + part)
        answer = self.send(OWN, sealed)
        if answer is None:
            return None
        text = self.macs.unseal(security1.TO_CLIENT, answer)
        return text[0], text[1:]

    async def ask(self, request, part=40):
        text = json.dumps(request).encode()
        for at in range(0, len(text), part):
            flag, made = self.frame(1 if at + part < len(text) else 0, text[at : at + part])
        reply = b""
        while flag or not (reply or made):
            reply += made
            if flag == protocomm.BUSY:
                await self.rig.step()
            flag, made = self.frame(0)
        return json.loads((reply + made).decode())


def wrong(octets):
    """Each bit of some octets flipped in turn, and each end cut."""
    for place in range(len(octets)):
        for bit in range(8):
            made = bytearray(octets)
            made[place] ^= 1 << bit
            yield bytes(made)
    for size in range(len(octets)):
        yield octets[:size]
    yield octets + b"\x00"


def random_secret():
    return crypto.random_bytes(32)
