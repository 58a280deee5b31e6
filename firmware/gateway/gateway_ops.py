"""What is asked of the gateway itself: ping, info, locks, import, forget. Owns the gateway's key pair for sealed
arguments. `import` is accepted only sealed, on any broker (DESIGN 4).
"""

from firmware.gateway import lock as locks
from firmware.gateway.operations.arguments import nothing, only
from firmware.gateway.refusals import Busy, Cancelled, Full
from firmware.gateway.scheduler import COMMAND, Job
from firmware.lib import commands
from firmware.lib.compat import const
from firmware.lib.errors import BadRequest, LinkError, ProtocolError
from firmware.system.timing import remaining_ms, sleep_ms, ticks_add, ticks_ms

_IMPORT_MS = const(20000)
_STEPS = const(8)  # of the key exchange between two turns of the loop


class ImportJob(Job):
    """Get to know a lock whose keys have come. One that is not near is taken on trust and looked at later."""

    priority = COMMAND

    def __init__(self, lock, deadline_ms, ops, request, conclude):
        super().__init__(lock, deadline_ms)
        self._ops = ops
        self._request = request
        self._conclude = conclude

    async def run(self, session):
        from firmware.gateway.operations.queries import describe

        await session.get_to_know()
        await session.status()
        return await describe(session)

    def finish(self, found, err):
        self._ops.imported(self.lock, found, err, self.attempts, self._request, self._conclude)


class GatewayOps:
    """`tools` as the bridge has them; `secret` and `public` are the X25519 keys; `about()` returns what `info` says."""

    def __init__(self, tools, secret, public, about):
        self._tools = tools
        self._secret = secret
        self._public = public
        self._about = about
        self._is_importing = False

    async def unseal(self, command):
        """Sealed arguments of a command -> dict. Raises AuthError, BadRequest."""
        from firmware.lib import sealed

        opened = None
        count = 0
        try:
            for opened in sealed.unseal_steps(command.sealed, self._secret, self._public, command.id, command.op):
                count += 1
                if count % _STEPS == 0:
                    await sleep_ms(0)
        except ProtocolError as err:
            raise BadRequest("sealed arguments: %s" % err)
        return commands.parse_args(opened, command.id)

    async def run(self, request, deadline_ms, conclude):
        """Carry out a request, or begin to; `conclude(request, found, err, attempts)` is called with its result.

        Raises what the result shall be instead.
        """
        command = request.command
        if command.op == "import":
            await self._import(request, deadline_ms, conclude)
            return
        if command.sealed is not None:
            command.args = await self.unseal(command)
        if command.op == "forget":
            self._forget(only(command.args, "mac"))
            found = None
        else:
            nothing(command.args)
            found = {"ping": lambda: None, "info": self._about, "locks": self._list}[command.op]()
        conclude(request, found, None, 0)

    def _list(self):
        registry = self._tools.registry
        items = []
        for lock in registry.all():
            near = registry.is_present(lock)
            item = {"mac": lock.id, "name": lock.name, "near": near, "rssi": lock.rssi_dbm, "battery": lock.battery}
            items.append(item)
        return {"items": items}

    def forget(self, args):
        """Serve a lock no more; also over the console. Raises BadRequest. A lock that is not known is no error."""
        self._forget(only(args, "mac"))

    def _forget(self, args):
        tools = self._tools
        lock = tools.registry.get(locks.address_of(args))
        if lock is None:
            return
        gone = Cancelled("the lock was removed from this gateway")
        tools.jobs.cancel_all(lock, gone)
        tools.registry.remove(lock)
        tools.scheduler.cancel(lock, gone)
        tools.records.close(lock)
        tools.rates.forget(lock.id)
        tools.failures.forget(lock.id)
        tools.states.withdraw(lock)
        tools.on_locks()

    # --- import

    async def _import(self, request, deadline_ms, conclude):
        tools = self._tools
        command = request.command
        if command.sealed is None:
            raise BadRequest("import takes sealed arguments only")
        lock = locks.from_bundle(await self.unseal(command))
        known = tools.registry.get(lock.address)
        if known is None and len(tools.registry) >= tools.most_locks:
            raise Full("this gateway serves %d locks already" % len(tools.registry))
        if self._is_importing:
            raise Busy("another lock is being imported")
        if known:
            lock.seen_s = known.seen_s
            lock.addr_type = known.addr_type
        tools.registry.listen_for(lock)
        until_ms = ticks_add(ticks_ms(), min(_IMPORT_MS, remaining_ms(deadline_ms)))
        if not tools.scheduler.submit(ImportJob(lock, until_ms, self, request, conclude)):
            tools.registry.listen_for(None)
            raise Busy("the queue is full")
        self._is_importing = True

    def imported(self, lock, found, err, attempts, request, conclude):
        """The end of an import: a lock that could not be reached is kept, one that refuses the keys is not."""
        tools = self._tools
        self._is_importing = False
        tools.registry.listen_for(None)
        if err is not None and not (isinstance(err, LinkError) or getattr(err, "code", "") == "expired"):
            conclude(request, None, err, attempts)
            return
        known = tools.registry.get(lock.address)
        if known:
            anew = Cancelled("the lock was imported anew")
            tools.jobs.cancel_all(known, anew)
            tools.scheduler.cancel(known, anew)
            lock.seq = known.seq
        try:
            tools.registry.add(lock)
            tools.records.renew(lock)
        except Exception as fault:  # the flash refuses: who asked must hear of it, too
            conclude(request, None, fault, attempts)
            raise
        tools.records.want(lock)
        tools.clocks.want(lock)
        tools.on_locks()
        if found is None:
            found = {"verified": False}
        conclude(request, found, None, attempts)
