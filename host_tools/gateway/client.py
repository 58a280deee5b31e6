"""A controller's end of mqtt.md 1: find gateways on a broker, send a command, follow it, wait for its one
result.

Owns the MQTT connection of a command. Leaves to `signing` what a signed one says, to `waiting` which answers are
believed, and the looks of results to the command line.
"""

import asyncio
import contextlib
import json
import secrets
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path

import aiomqtt

from firmware.lib.errors import ProtocolError
from firmware.lib.topics import Topics, is_id, parse
from host_tools import text
from host_tools.errors import HostError, Interrupted, Pending, Unknown
from host_tools.gateway import brokers, local_brokers, payloads, signing, tls
from host_tools.gateway.records_batch import Batch
from host_tools.gateway.refusals import TODO, refusal
from host_tools.gateway.room import Room
from host_tools.gateway.signing import Signer
from host_tools.gateway.waiting import Progress, Waiter
from host_tools.owner.gateways import PROVISION, Gateway
from host_tools.owner.keybook import Entry, KeyBook, lock_id

_COMPUTERS = ("linux", "darwin")  # what MicroPython's unix port calls its board
_WATCHED = ("status", "info", "rsp")
_MAX_NAMED = 4  # of strangers, in one message
_ACK_S = 60  # a broker's receipt may stand behind all that strangers left there
_GATHER_S = 0.02  # what is told meanwhile is looked at together
_SETTLE_S = 0.3  # retained messages arrive together
_MAX_GATEWAYS, _MAX_PAGES = 256, 4096
_WAIT_S = 45  # a gateway gives a command to a sleeping lock 30 s
_HELLO_S = 10  # the question for a nonce is asked again after this
_MAX_LABEL = 48  # bytes of a lock's name at a gateway, which shows it only
_TRIES = 3  # of one signed request whose session or number the gateway did not take

_HELLO = "hello"
_STALE, _REPEATED = "stale_nonce", "replayed"
_OF_COPIES = ("retained",)  # we retain nothing: somebody has published our message once more

Watcher = Callable[[str, str, str, str], None]
Hearer = Callable[[str, str], None]
Pins = Callable[[], list[Gateway]]
Now = Callable[[], float]


class Gateways:
    """One broker's gateways. Use `connect`."""

    def __init__(self, client: aiomqtt.Client, base: str, pins: Pins = lambda: [], now_s: Now = time.time) -> None:
        self._client = client
        self._base = base
        self._pins = pins
        self._now_s = now_s
        self._known: dict[str, Signer] | None = None
        self._waiting: dict[str, Waiter] = {}
        self._changed = asyncio.Event()
        self.online: dict[str, bool] = {}
        self.info: dict[str, dict] = {}
        self.told = 0  # how often one of these has changed
        self._watchers: list[tuple[tuple[str, ...], str, Watcher]] = []
        self._hearers: dict[str, Hearer] = {}
        self.reader = payloads.Reader()
        self._room = Room(_MAX_GATEWAYS, self._is_ours)

    async def watch(self, leaves: tuple[str, ...], watcher: "Watcher", lock: str = "+") -> None:
        """Have `watcher(gateway, lock, leaf, text)` called for messages on these leaves of `lock` (an id, or all)."""
        self._watchers.append((leaves, lock, watcher))
        for leaf in leaves:
            await self._client.subscribe(Topics("+", self._base).lock(lock, leaf), qos=1, timeout=_ACK_S)

    async def hear(self, leaf: str, hearer: Hearer) -> None:
        """Have `hearer(gateway, text)` called for messages on this leaf of every gateway."""
        self._hearers[leaf] = hearer
        await self._client.subscribe(Topics("+", self._base).gateway(leaf), qos=1, timeout=_ACK_S)

    async def acknowledge(self, gateway: str, lock: str, batch: Batch) -> None:
        """Tell a gateway with `records_ack` = consumer that the records of a batch are kept; one of which nothing is
        pinned is told without a proof. Nothing where another computer is to say it."""
        signer = self.signer(gateway)
        if signer is None:
            text = json.dumps({"epoch": batch.epoch, "from": batch.first, "to": batch.last})
        else:
            signed = signer.acknowledgement(lock, batch)
            if signed is None:
                return
            text = signed
        await self._client.publish(Topics(gateway, self._base).lock(lock, "records/ack"), text, qos=1, timeout=_ACK_S)

    def proven(self, gateway: str, lock: str, text: str) -> bool | None:
        """Whether the gateway made this batch of records; None where this computer cannot tell."""
        signer = self.signer(gateway)
        return None if signer is None else signer.proves_records(lock, text.encode())

    @property
    def is_owner(self) -> bool:
        """Whether the key book commands any gateway."""
        self.signer("")
        return bool(self._known)

    def is_simulated(self, gateway: str) -> bool:
        """Whether a gateway is known to be made up, or says of itself that it runs on a computer."""
        signer = self.signer(gateway)
        if signer is not None:
            return signer.gateway.simulated
        return str(self.info.get(gateway, {}).get("board", "")).split(" ")[0] in _COMPUTERS

    async def listen(self) -> None:
        """Receive messages until cancelled; started by `connect`. A broken connection ends what waits for results."""
        try:
            await self._listen()
        except aiomqtt.MqttError as err:
            for ident, waiter in self._waiting.items():
                text = "the broker went away (%s)" % err
                if waiter.op == _HELLO:
                    waiter.fail(HostError("net", text, "is it still running?"))
                elif waiter.kept is not None:
                    waiter.fail(Pending(waiter.kept, text))
                else:
                    waiter.fail(Unknown(ident, text, TODO["outcome_unknown"]))
            raise

    async def _listen(self) -> None:
        async for message in self._client.messages:
            try:
                gateway, lock, leaf = parse(str(message.topic), self._base)
                text = bytes(message.payload).decode()  # type: ignore[arg-type]
            except (ProtocolError, ValueError, TypeError):
                self.reader.dropped += 1
                continue
            if len(text) > payloads.longest(leaf) or (leaf != "rsp" and not self._room.has(gateway)):
                self.reader.dropped += 1
                continue
            for leaves, meant, watcher in self._watchers:
                if lock and leaf in leaves and meant in ("+", lock):
                    watcher(gateway, lock, leaf, text)
            if lock is None and leaf in self._hearers:
                self._hearers[leaf](gateway, text)
            if leaf == "status":
                self.online[gateway] = text == "online"
                self._changed.set()
            elif leaf == "info":
                info = self.reader.message(text, payloads.INFO)
                if info is not None:
                    self.info[gateway] = info
                    self.told += 1
                    self._changed.set()
            elif leaf == "rsp":
                self._receive(str(message.topic), text)

    def _is_ours(self, gateway: str) -> bool:
        try:
            return self.signer(gateway) is not None
        except HostError:  # the key book cannot be read: whoever needs it is told
            return False

    def _receive(self, topic: str, text: str) -> None:
        """A message about a request."""
        answer = self.reader.message(text, payloads.ANSWER)
        waiter = self._waiting.get(str(answer.get("id"))) if answer else None
        if waiter:
            waiter.receive(topic, text, self.reader)

    # --- whose gateway

    def signer(self, gateway: str) -> Signer | None:
        """Who commands a gateway; None for one of which nothing is pinned."""
        if self._known is None:
            pinned = [each for each in self._pins() if each.is_pinned]
            self._known = {each.id: Signer(each, self._base, self._now_s, self._now_s is time.time) for each in pinned}
        return self._known.get(gateway)

    async def choose(self, gateway: str = "", lock: str = "", wait_s: float = 3.0) -> str:
        """Id of the gateway asked for, or of the one that knows `lock` (an id), or of the only one there is."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(wait_s):
                while not self._fitting(gateway, lock):
                    self._changed.clear()
                    await self._changed.wait()
                    await asyncio.sleep(_GATHER_S)
                await asyncio.sleep(_SETTLE_S)  # before "the only one" is believed
        fitting = self._fitting(gateway, lock)
        if len(fitting) == 1:
            return fitting[0]
        if fitting:
            shown = _named(list(map(self.title, fitting)))
            raise HostError("bad_request", "several gateways: %s" % shown, "choose one with --gateway NAME")
        self._refuse_strangers(gateway, lock)
        if gateway:
            self._demand_known(gateway)
        if lock and any(self.online.values()):
            whose = "gateway %s has not" % gateway if gateway else "no gateway has"
            raise HostError("unknown_lock", "%s the keys of %s" % (whose, lock), "run `gatehouse import` first")
        raise HostError("net", "no gateway is online at this broker", "check its light, and --broker")

    def _fitting(self, gateway: str, lock: str) -> list[str]:
        """Ids of those meant that are online. Anybody may say that he is a gateway, by any name, with any lock: who
        commands gateways means one of his own, unless he gives the very id of another."""
        fitting = self._claiming(gateway, lock)
        mine = [ident for ident in fitting if self.signer(ident)]
        return mine if mine or (self.is_owner and not is_id(lock_id(gateway))) else fitting

    def _claiming(self, gateway: str, lock: str) -> list[str]:
        """Ids of all that are online and say that they are the one."""
        fitting = [ident for ident in sorted(self.info) if self.online.get(ident) and self._is(ident, gateway)]
        return [ident for ident in fitting if lock in _locks(self.info[ident])] if lock else fitting

    def _refuse_strangers(self, gateway: str, lock: str) -> None:
        """HostError `not_owned` where only gateways that are not the key book's say that they are the one."""
        claiming = self._claiming(gateway, lock)
        if claiming and not self._fitting(gateway, lock):
            raise HostError(
                "not_owned",
                "of the gateways in the key book none is online%s; %s, which this key book does not know"
                % (" with the keys of %s" % lock if lock else "", _so_do(list(map(self.title, claiming)))),
                "look at your own; if the other one is yours, %s, or give its id with --gateway" % PROVISION,
            )

    def name(self, gateway: str) -> str:
        """What its owner calls a gateway, by the key book, else by what it says; "" where nobody has named it."""
        signer = self._known.get(gateway) if self._known else None
        return (signer.gateway.name if signer else "") or text.tidy(self.info.get(gateway, {}).get("name"))

    def title(self, gateway: str) -> str:
        """Name and id."""
        name = self.name(gateway)
        return "%s (%s)" % (name, gateway) if name else gateway

    def _is(self, ident: str, wanted: str) -> bool:
        """Whether a gateway is meant by an id, or by its whole name; any is by ""."""
        return not wanted or lock_id(wanted) == ident or text.key(wanted) == text.key(self.name(ident)) != ""

    def _demand_known(self, gateway: str) -> None:
        """HostError unless it is the name or id of a gateway that is online."""
        seen = sorted(set(self.info) | set(self.online))
        ident = text.pick(
            gateway if text.key(gateway) else "?",
            seen,
            lambda each: (each, self.name(each)),
            self.title,
            "a gateway",
            "unknown_gateway",
            "see `gatehouse gateway list`",
        )
        if not self.online.get(ident):
            raise HostError("net", "gateway %s is not online" % self.title(ident), "check its light and its Wi-Fi")

    def issuer(self, gateway: str) -> str | None:
        """As whom this computer commands a gateway; None where it does not."""
        signer = self.signer(gateway)
        return signer.gateway.issuer if signer else None

    async def command(
        self,
        gateway: str,
        lock: str | None,
        op: str,
        args: dict | None = None,
        secret: bool = False,
        wait_s: float = _WAIT_S,
        on_progress: Progress | None = None,
        is_patient: bool = True,
        on_sending: Callable[[str], None] = lambda ident: None,
    ) -> dict:
        """Send one command and return its result; arguments that hold secrets are sealed, all of them where `secret`.
        HostError unless the result is ok.

        It is signed wherever the gateway's keys are known, and then only what the gateway proves is believed. Raises
        HostError `gateway_key` for a gateway that is not the pinned one, `not_owned` where nothing is pinned and the
        request needs it, `too_long`, `no_answer`: nothing was sent then.

        `on_sending` gets the request's id before anything is sent; what it raises keeps the request from being sent.
        `on_progress` gets the data of messages on the way. Raises Pending for a request that the gateway keeps until
        the lock is near: when its result does not come in time, or at once unless `is_patient`. Raises Unknown where it
        was sent and no result came, Interrupted where the caller was stopped meanwhile.
        """
        signer = self.signer(gateway)
        ident = signing.new_id()
        secret = secret or signing.must_seal(op, lock, args)
        is_volatile = signing.is_volatile(op, lock)
        valid_s = signing.VALID_S if is_volatile or wait_s <= _WAIT_S else signing.LONG_VALID_S
        if signer is None:
            signing.demand_unsigned(gateway, lock, op, secret)
            members: dict = {"id": ident, "op": op, **({"args": args} if args else {})}
            if is_volatile:
                members["exp"] = int(self._now_s()) + valid_s
        else:
            signing.demand_pinned(signer.gateway, self.info.get(gateway, {}).get("x25519"))
            if signer.nonce is None:
                await self._hello(signer, wait_s)
            members = signer.members(ident, lock, op, args, secret, valid_s)
            signer.sign(lock, members)  # too long: told before anything is noted
        topics = Topics(gateway, self._base)
        topic = topics.lock(lock, "rsp") if lock else topics.gateway("rsp")
        waiter = self._waiting[ident] = Waiter(op, topic, signer, on_progress, is_patient)
        try:
            _demand_going_on()
            on_sending(ident)
            async with asyncio.timeout(wait_s):
                result = await self._ask(waiter, signer, topic[:-3] + "cmd", lock, members)
        except TimeoutError:
            if waiter.kept is not None:
                raise Pending(waiter.kept, "the lock was not reached in %d s" % wait_s)
            raise Unknown(ident, "no result in %d s%s" % (wait_s, waiter.silence), TODO["outcome_unknown"])
        except asyncio.CancelledError:  # the user waits no longer
            if waiter.final.done():  # it came in the same moment
                result = waiter.final.result()
            elif waiter.kept is not None:
                raise Pending(waiter.kept, "no longer waited for")
            else:
                text = "stopped before the result of %s came; the gateway may be at it" % op
                raise Interrupted(ident, text, TODO["outcome_unknown"])
        except aiomqtt.MqttCodeError as err:  # the connection is no more, and the message has not left
            raise HostError("net", "broker: %s" % err, "is it still running?")
        except aiomqtt.MqttError as err:
            raise Unknown(ident, "the broker has not confirmed the message: %s" % err, TODO["outcome_unknown"])
        finally:
            del self._waiting[ident]
        if not result["ok"]:
            error = refusal(result, op, signer is not None)
            if error.code == "expired" and signer and signer.is_apart():
                error.todo = "the clocks of this computer and of the gateway are %d s apart" % abs(signer.apart_s or 0)
            raise error
        return result

    async def _ask(self, waiter: Waiter, signer: Signer | None, topic: str, lock: str | None, members: dict) -> dict:
        """Send a request -> its final answer. A session or a number that the gateway does not take is renewed; the id
        stays, so that the request acts once. What is said of a copy that somebody repeats is no answer."""
        for left in reversed(range(_TRIES)):
            text = json.dumps(members) if signer is None else signer.sign(lock, members)
            await self._client.publish(topic, text, qos=1, timeout=_ACK_S)
            _demand_going_on()
            result = await self._final(waiter, _OF_COPIES if left else (*_OF_COPIES, _REPEATED))
            code = result.get("code")
            if signer is None or code not in (_REPEATED, _STALE) or not left:
                break
            waiter.renew()
            signer.end()
            await self._hello(signer, _WAIT_S)  # it tells the highest number that the gateway has seen, too
        return result

    async def _final(self, waiter: Waiter, ignored: tuple[str, ...]) -> dict:
        """The final answer; of a signed request, the first whose code is none of these."""
        while True:
            result = await asyncio.shield(waiter.final)
            if not waiter.is_signed or result.get("code") not in ignored:
                return result
            waiter.renew()

    async def _hello(self, signer: Signer, wait_s: float) -> None:
        """Begin a session. HostError `no_answer` when nothing comes in time that the gateway proves."""
        topic = signer.topic(None, "rsp")
        unproven = ""
        for _ in range(max(1, round(wait_s / _HELLO_S))):
            ident = signing.new_id()
            waiter = self._waiting[ident] = Waiter(_HELLO, topic, signer)
            try:
                await self._client.publish(signer.topic(None, "cmd"), signer.hello(ident), qos=1, timeout=_ACK_S)
                async with asyncio.timeout(min(wait_s, _HELLO_S)):
                    result = await waiter.final
                if not result["ok"]:
                    raise refusal(result, _HELLO, True)
                signer.begin(result.get("data"))
                return
            except TimeoutError:
                if waiter.unproven:
                    unproven = waiter.silence
                    break
            except aiomqtt.MqttError as err:
                raise HostError("net", "broker: %s" % err, "is it still running?")
            finally:
                del self._waiting[ident]
        raise HostError(
            "no_answer",
            "gateway %s gives no answer%s" % (signer.gateway.label, unproven),
            "was it reset, or given to somebody else? then provision it again" if unproven else "look at its log",
        )

    async def serving(self, lock: str, gateway: str = "", is_patient: bool = True) -> "ServedLock":
        """A lock (an id) at the gateway asked for, or at the one that knows it. Raises as `choose`."""
        return ServedLock(self, await self.choose(gateway, lock), lock, is_patient)

    async def hand_over(self, gateway: str, entry: Entry) -> dict:
        """Import a lock's keys, sealed, into the gateway; its result has the lock's answer. A time zone that does not
        fit into one message with them follows in a second one."""
        args = import_args(entry)
        try:
            return await self.command(gateway, None, "import", args, secret=True)
        except HostError as error:
            if error.code != "too_long" or not args.pop("zone", None):
                raise
        result = await self.command(gateway, None, "import", args, secret=True)
        await self.command(gateway, entry.id, "zone_set", {"zone": entry.zone_rule})
        return result

    async def forget(self, gateway: str, entry: Entry) -> dict:
        """Make the gateway drop a lock's keys."""
        return await self.command(gateway, None, "forget", {"mac": entry.mac})

    async def forget_everywhere(self, entry: Entry) -> list[str]:
        """Make every gateway that is online and serves the lock drop its keys -> their ids."""
        serving = self._fitting("", entry.id)
        for gateway in serving:
            await self.forget(gateway, entry)
        return serving

    async def tell_zone(self, entry: Entry, but: str = "") -> tuple[list[str], list[HostError]]:
        """Tell every gateway that is online and serves the lock, except one, the zone that its key book has: each sets
        the lock's clock by the one that it knows -> (ids of those that know it now, or will when the lock is near; why
        others do not)."""
        told, failed = [], []
        for gateway in self._fitting("", entry.id):
            if gateway == but:
                continue
            try:
                await self.command(gateway, entry.id, "zone_set", {"zone": entry.zone_rule}, is_patient=False)
            except Pending:
                pass
            except HostError as error:
                failed.append(error)
                continue
            told.append(gateway)
        return told, failed


@dataclass
class ServedLock:
    """A lock as one gateway serves it; `is_patient` as for `Gateways.command`."""

    gateways: Gateways
    gateway: str
    ident: str
    is_patient: bool = True

    async def command(
        self,
        op: str,
        args: dict | None = None,
        secret: bool = False,
        wait_s: float = _WAIT_S,
        on_progress: Progress | None = None,
        on_sending: Callable[[str], None] = lambda ident: None,
    ) -> dict:
        """As `Gateways.command`."""
        return await self.gateways.command(
            self.gateway, self.ident, op, args, secret, wait_s, on_progress, self.is_patient, on_sending
        )

    async def asked(self, op: str, args: dict | None = None, secret: bool = False) -> dict:
        """`data` of the result of an operation; {} when there is none."""
        return (await self.command(op, args, secret)).get("data") or {}

    async def items(
        self, op: str, args: dict | None = None, on_page: Callable[[int], None] = lambda count: None
    ) -> list[dict]:
        """Every item of a list that comes page by page; `on_page` gets the number of those read so far."""
        items: list[dict] = []
        cursor: int | None = 0
        for _ in range(_MAX_PAGES):
            if cursor is None:
                return items
            page = (await self.command(op, {"cursor": cursor, **(args or {})} if cursor else args)).get("data") or {}
            items += page.get("items") or []
            on_page(len(items))
            after = page.get("next")
            if after is not None and after <= cursor:
                break
            cursor = after
        raise HostError("protocol", "the list has no end", "look at the gateway's log")


def import_args(entry: Entry) -> dict:
    """Arguments of `import` (mqtt.md 1): what the gateway needs to act as the lock's admin, and nothing else."""
    return {
        "mac": entry.mac,
        "aes": entry.aes,
        "admin_ps": entry.admin_ps,
        "unlock_key": entry.unlock_key,
        "scene": entry.scene,
        "group": entry.group,
        "org": entry.org,
        "name": text.clipped(entry.name, _MAX_LABEL),
        **({"zone": entry.zone_rule} if entry.zone_rule else {}),
    }


def _named(titles: list[str]) -> str:
    """Gateways in a text of bounded length."""
    more = len(titles) - _MAX_NAMED
    return ", ".join(titles[:_MAX_NAMED]) + (" and %d more" % more if more > 0 else "")


def _so_do(titles: list[str]) -> str:
    is_one = len(titles) == 1
    return "%s %s that %s" % (_named(titles), "says" if is_one else "say", "it is" if is_one else "they are")


def _demand_going_on() -> None:
    """Be stopped where the caller was: `wait_for` of Python 3.11 forgets it when what it waits for comes just then."""
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError


def _with_site(known: list[Gateway], site: Path | None) -> list[Gateway]:
    """The gateways of a key book, and those of the simulated site that it does not know."""
    mine = {each.id for each in known if each.is_pinned}
    return known + [each for each in KeyBook(site).gateways() if each.id not in mine] if site else known


def _locks(info: dict) -> list[str]:
    return [lock["mac"].replace(":", "") for lock in info.get("locks") or []]


@contextlib.asynccontextmanager
async def connect(
    broker: brokers.Broker | brokers.Given | str = "",
    base: str = "gatehouse",
    login: tuple[str, str] | None = None,
    pins: Pins | None = None,
    now_s: Now = time.time,
) -> AsyncIterator[Gateways]:
    """Connected to `broker` (as `brokers` chooses it) and listening.

    User and password: `login`, else those that `brokers` knows. `pins` gives the gateways of a key book, when they are
    first needed, and those of a simulated site come with them at its broker; without `pins` nothing is signed. `now_s`
    is the time that commands bear; a simulated site has its own. How the connection ends changes nothing of what was
    done over it.
    Faults of TLS have the codes of `tls.FAULTS`.
    """
    if not isinstance(broker, brokers.Broker):
        broker = brokers.choose(broker)
    trusted = tls.context(broker.tls) if broker.tls else None
    user, password = login or (broker.user, broker.password)
    failure = "broker %s: %%s" % str(broker).replace("%", "%%"), "is it running? give --broker host:port"
    client = aiomqtt.Client(
        broker.host,
        broker.port,
        username=user,
        password=password,
        identifier="gatehouse-" + secrets.token_hex(8),
        tls_context=trusted,
    )
    try:
        await client.__aenter__()
    except (aiomqtt.MqttError, OSError, ValueError) as err:
        if trusted:
            code = await asyncio.to_thread(tls.diagnose, broker.host, broker.port, trusted)
            if code:
                raise tls.fault(code, broker)
        raise HostError("net", failure[0] % err, failure[1])
    listening = None
    try:
        site = local_brokers.keys(broker.host, broker.port)
        if site and now_s is time.time:
            now_s = local_brokers.clock(site)
        gateways = Gateways(client, base, lambda: _with_site(pins(), site) if pins else [], now_s)
        topics = Topics("+", base)
        patterns = [topics.gateway(leaf) for leaf in _WATCHED] + [topics.lock("+", "rsp")]
        await client.subscribe([(pattern, 1) for pattern in patterns], timeout=_ACK_S)
        listening = asyncio.create_task(gateways.listen())
        yield gateways
    except aiomqtt.MqttError as err:
        raise HostError("net", failure[0] % err, failure[1])
    finally:
        if listening is not None:
            listening.cancel()
            with contextlib.suppress(asyncio.CancelledError, aiomqtt.MqttError):
                await listening
        with contextlib.suppress(aiomqtt.MqttError, OSError):
            await client.__aexit__(None, None, None)
