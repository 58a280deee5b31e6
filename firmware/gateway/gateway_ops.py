"""What is asked of the gateway itself: ping, info, locks, import, forget, issuers, the PIN, the log, metrics, reset.
Owns the gateway's key pair for sealed arguments. `import` is accepted only sealed, on any broker (mqtt.md 1).
"""

from firmware.gateway import lock as locks
from firmware.gateway.admission import Refusal
from firmware.gateway.operations import table
from firmware.gateway.operations.arguments import only
from firmware.gateway.registry import MAX_LOCKS
from firmware.gateway.scheduler import COMMAND, Job, NotNear
from firmware.lib import commands
from firmware.lib.compat import const, unload
from firmware.lib.errors import AuthError, BadRequest, GaveWay, LinkError, LinkTimeout, ProtocolError
from firmware.system.timing import remaining_ms, sleep_ms, ticks_add, ticks_ms

_IMPORT_MS = const(20000)
_SILENCES = const(2)  # a lock answers within a second; 2 s of silence, twice, on links that stood
_DROPS = const(4)  # or it let us go each time, which a bad air does, too
_SILENT = "the lock is near and answers nothing under these keys: they are not its keys (any more)"
_UNPROVEN = "the lock was not reached, so that the keys which it accepted stay: import again near it"
_STEPS = const(8)  # of the key exchange between two turns of the loop
_SEALING = ("firmware.lib.sealed", "firmware.lib.x25519")  # needed for a second, once in a while


class ImportJob(Job):
    """Get to know a lock whose keys have come. One that is not near is taken on trust and looked at later."""

    priority = COMMAND

    def __init__(self, lock, deadline_ms, request, end_import):
        super().__init__(lock, deadline_ms, request)
        self._end_import = end_import

    silences = 0  # links that came up and on which the lock said nothing under these keys

    async def run(self, session):
        try:
            await session.get_to_know()
        except GaveWay:
            raise
        except LinkError as err:
            if session.has_answered:
                self.silences = 0
                raise
            self.silences += 1
            if self.silences >= (_SILENCES if isinstance(err, LinkTimeout) else _DROPS):
                raise AuthError(_SILENT)
            raise
        self.silences = 0
        await session.status()
        return await session.describe()

    def finish(self, result, err):
        try:
            if self.silences and (isinstance(err, LinkError) or getattr(err, "code", "") == "expired"):
                err = AuthError(_SILENT)
            err = self._end_import(self.lock, err)
        except Exception as fault:  # the flash refuses: the request is answered all the same
            self.request.answer(None, fault, self.attempts)
            raise
        if err is None and result is None:
            result = {"verified": False}
        self.request.answer(result, err, self.attempts)


def _has_keys_of(lock, known):
    return (lock.aes, lock.admin_ps, lock.unlock_key) == (known.aes, known.admin_ps, known.unlock_key)


class GatewayOps:
    """`keys` are the secret and the public X25519 key; `about()` returns what `info` says. At most `max_locks` are
    served. `use_pin(digits)` is told of a PIN that was stored, or of None, `replacing()` before it is;
    `tail(args, issuer)` sends the log for a while and returns `data` of the result, `publish()` the metrics now."""

    def __init__(
        self,
        context,
        scheduler,
        jobs,
        keys,
        about,
        max_locks=MAX_LOCKS,
        issuers=None,
        reset=None,
        use_pin=None,
        tail=None,
        replacing=lambda: None,
        publish=None,
    ):
        self._context = context
        self._scheduler = scheduler
        self._jobs = jobs
        self._secret, self._public = keys
        self._about = about
        self._max_locks = max_locks
        self._issuers = issuers
        self._reset = reset
        self._use_pin = use_pin
        self._tail = tail
        self._replacing = replacing
        self._publish = publish
        self._is_importing = False

    def hello(self, request):
        """Give a nonce, in an answer that whoever has the issuer's key can believe."""
        clock = self._context.clock
        args = request.command.args
        issuer = self._issuers.get(args.get("iss")) if self._issuers and isinstance(args.get("iss"), str) else None
        if issuer is None:
            raise Refusal("unknown_issuer", "this gateway knows no such issuer")
        only(args, "iss")
        request.iss = issuer.name
        request.has_row = False
        time_s = clock.now() if clock.trusted else None
        result = {"nonce": self._issuers.nonce(issuer.name), "time": time_s, "trusted": clock.trusted}
        result["public"] = self._public.hex()
        result["seq"] = issuer.window.top
        request.answer(result)

    async def unseal(self, request):
        """Sealed arguments of a request -> dict. Raises AuthError, BadRequest."""
        from firmware.lib import sealed

        command = request.command
        opened = None
        count = 0
        try:
            for opened in sealed.unseal_steps(
                command.sealed, self._secret, self._public, command.id, command.op, request.topic, command.iat
            ):
                count += 1
                if count % _STEPS == 0:
                    await sleep_ms(0)
        except ProtocolError as err:
            raise BadRequest("sealed arguments: %s" % err)
        finally:
            unload(_SEALING)
        return commands.parse_args(opened, command.id)

    async def run(self, request, deadline_ms):
        """Carry out a request and answer it, or begin to. Raises what the result shall be instead."""
        command = request.command
        if command.op == "import":
            await self._import(request, deadline_ms)
            return
        if command.sealed is not None:
            command.args = await self.unseal(request)
        elif table.rules(command.op, False) & table.SEALED:
            raise BadRequest("%s takes sealed arguments only" % command.op)
        if command.op[:6] == "issuer":
            request.answer(self._ask_issuers(command))
            return
        if command.op[:4] == "pin_":
            request.answer(self._change_pin(command))
            return
        if command.op == "log":
            request.answer(self._tail(command.args, self._issuers.get(request.iss)))
            return
        if command.op == "forget":
            self.forget(command.args)
        elif command.op != "locks":
            only(command.args)
        request.answer(
            self._list(command.args) if command.op == "locks" else self._about() if command.op == "info" else {}
        )
        if command.op == "reset":
            self._reset()
        elif command.op == "metrics":
            self._publish()

    def _ask_issuers(self, command):
        from firmware.gateway import issuer_ops

        try:
            return issuer_ops.run(self._issuers, command.op, command.args)
        finally:
            unload(("firmware.gateway.issuer_ops",))

    def _change_pin(self, command):
        from firmware.gateway import pin_ops

        try:
            return pin_ops.run(command.op, command.args, self._use_pin, self._replacing)
        finally:
            unload(("firmware.gateway.pin_ops",))

    def _list(self, args):
        if args:
            from firmware.gateway import health

            unload(("firmware.gateway.health",))
            return health.of_lock(self._context, self._jobs, args)
        registry = self._context.registry
        items = []
        for lock in registry.all():
            near = registry.presence(lock)
            item = {"mac": lock.id, "name": lock.name, "near": near, "rssi": lock.rssi_dbm, "battery": lock.battery}
            items.append(item)
        return {"items": items}

    def forget(self, args):
        """Stop serving a lock; also over the console. Raises BadRequest. A lock that is not known is no error."""
        registry = self._context.registry
        lock = registry.get(locks.address_of(only(args, "mac")))
        if lock is not None:
            self._jobs.cancel_all(lock, Refusal("cancelled", "the lock was removed from this gateway"))
            registry.remove(lock)

    # --- import

    async def _import(self, request, deadline_ms):
        registry = self._context.registry
        command = request.command
        if command.sealed is None:
            raise BadRequest("import takes sealed arguments only")
        lock = locks.from_bundle(await self.unseal(request))
        known = registry.get(lock.address)
        if known is None and len(registry) >= self._max_locks:
            raise Refusal("refused", "this gateway serves %d locks already" % len(registry), "full")
        if self._is_importing:
            raise Refusal("busy", "another lock is being imported")
        if known:
            lock.seen_s = known.seen_s
            lock.addr_type = known.addr_type
        registry.listen_for(lock)
        until_ms = ticks_add(ticks_ms(), min(_IMPORT_MS, remaining_ms(deadline_ms)))
        if not self._scheduler.submit(ImportJob(lock, until_ms, request, self.end_import)):
            registry.listen_for(None)
            raise Refusal("busy", "the queue is full")
        self._is_importing = True
        request.hand_on()

    def end_import(self, lock, err):
        """The end of an import -> why it failed, or None: a lock that could not be reached is kept, one that refuses
        the keys is not."""
        context = self._context
        registry = context.registry
        self._is_importing = False
        registry.listen_for(None)
        known = registry.get(lock.address)
        if err is not None:
            if not (isinstance(err, LinkError) or getattr(err, "code", "") == "expired"):
                return err
            if known and known.verified:
                if not _has_keys_of(lock, known):
                    return NotNear(_UNPROVEN)
                locks.carry(known, lock)
        if known:
            self._jobs.cancel_all(known, Refusal("cancelled", "the lock was imported anew"))
            lock.seq = known.seq
            if known.aes == lock.aes:  # the same pairing: its clock went on
                lock.shown, lock.servers_s = known.shown, known.servers_s
        registry.add(lock)
        context.records.renew(lock)
        context.records.want(lock)
        context.clocks.want(lock)
        return None
