"""A link to one lock, opened, with what has been proven on it. Owns the way to it, logins, and what is to be known of a
change whose answer may be lost; what is asked and changed is up to the operations. Owns no link for longer than the
context it hands out.

Source: lock-ble-link.md 8.4-8.10. A login holds for 120 s; it is renewed before that, and once when the lock says "no
permission" in the middle of a long job.
"""

import asyncio

from firmware.gateway.admission import Refusal
from firmware.gateway.scheduler import Expired, NotNear
from firmware.lib import opcodes, records
from firmware.lib.compat import const
from firmware.lib.errors import AuthError, FirmwareError, GaveWay, LinkError, LinkTimeout, ProtocolError
from firmware.lib.messages import session_client
from firmware.system.timing import remaining_ms, ticks_add, ticks_diff, ticks_ms, wait_for_ms

SHARED_KEY = "a shared key: only who has the administrator's may do that"

_ANSWER_MS = const(6000)
_FIRST_MS = const(2000)  # a lock answers within one; a link on which nothing ever came is not worth more
_LOGIN_MS = const(100000)
_NO_PERMISSION = const(0x02)
_STALE_FLAG = const(0x0D)
_MIN_MS = const(500)  # with less time left no change is begun: the frame might arrive, and act, too late
_MAX_OWN = const(0x7FFFFFFF)
_SETTLE_MS = const(500)  # a bolt may still move when its lock has answered
_VERIFY_MS = const(1000)


class Session:
    """Serves one `job` after another; `deadline_ms` is the tick until which exchanges may take. While `must_leave()` is
    true, no question is begun."""

    must_leave = None

    def __init__(self, link, lock, registry, deadline_ms, job=None):
        self.link = link
        self.lock = lock
        self.deadline_ms = deadline_ms
        self._registry = registry
        self._job = job
        self._admin_ms = None
        self._switch_is_fresh = False
        self._has_answered = False
        link.subscribe(self._pushed)
        registry.reached(lock)

    def _pushed(self, echo, data):
        self._registry.pushed(self.lock, echo, data)

    def begin(self, job):
        """What follows is done for `job`, until its deadline."""
        self._job = job
        self.deadline_ms = job.deadline_ms

    @property
    def has_answered(self):
        """Whether the lock has said anything on this link that its key opens."""
        return self._has_answered

    @property
    def uid(self):
        """The uid to show: the gateways' reserved one to our own locks, 0 to others."""
        return records.GATEWAY_UID if self.lock.is_own else 0

    async def ask(self, command, plain=b""):
        """One request within the deadline -> data of the answer. Raises as `Link.exchange`; GaveWay."""
        if self.must_leave and self.must_leave():
            raise GaveWay("more urgent work")
        left_ms = remaining_ms(self.deadline_ms)
        if left_ms <= 0:
            raise LinkTimeout("no time left")
        try:
            data = await self.link.exchange(
                command, plain, min(left_ms, _ANSWER_MS if self._has_answered else _FIRST_MS)
            )
        except LinkError:
            raise
        except FirmwareError:  # it has answered no
            self._has_answered = True
            raise
        self._has_answered = True
        if self.link.is_connected():
            self._registry.answered(self.lock)
        return data

    async def login(self):
        """Be the lock's administrator, as far as not already proven. Raises AuthError."""
        if self._admin_ms is not None and ticks_diff(ticks_ms(), self._admin_ms) < _LOGIN_MS:
            return
        self._admin_ms = None
        lock = self.lock
        if not lock.admin_ps:
            raise Refusal("forbidden", SHARED_KEY, "shared_key")
        challenge = self._genuine(
            await self.ask(opcodes.CHECK_ADMIN, session_client.check_admin(lock.admin_ps, uid=self.uid))
        )
        await self.ask(opcodes.CHECK_RANDOM, session_client.check_random(challenge, lock.unlock_key))
        self._admin_ms = ticks_ms()

    async def prove(self):
        """Show the keys that we have: as `login`, or with a shared key by the answer to 0x55's challenge, which opens
        the clock and nothing else (hardware-facts.md F25, F84). Raises AuthError.
        """
        if self.lock.admin_ps:
            await self.login()
            return
        challenge = await self.user_challenge()
        await self.ask(opcodes.CHECK_RANDOM, session_client.check_random(challenge, self.lock.unlock_key))

    async def ask_as_admin(self, command, plain=b""):
        """As `ask`, after a login."""
        await self.login()
        try:
            return await self.ask(command, plain)
        except AuthError as err:
            if err.ble != _NO_PERMISSION:
                raise
        self._admin_ms = None
        await self.login()
        return await self.ask(command, plain)

    async def change(self, command, plain=b"", is_admin=True):
        """One request that changes something -> data of the answer. All that is no question goes through here.

        Before the frame leaves the job is marked, durably, and has `was_sent` from then on. The lock's refusal and a
        frame that never left take that back, unless an earlier frame of the job was accepted or may have arrived.
        Raises as `ask`; AuthError; Expired when the time is too short to begin.
        """
        job = self._job
        was_sent = job.was_sent
        for is_last in (not is_admin, True):
            if is_admin:
                await self.login()  # a link that breaks here says nothing of the change
            job.mark()  # first: a flash that erases a block takes long
            if remaining_ms(self.deadline_ms) < _MIN_MS:
                raise Expired("too little time was left when the lock was ready")
            job.was_sent = job.is_changing = True
            try:
                return await self.ask(command, plain)
            except FirmwareError as err:
                job.was_sent = was_sent or getattr(err, "sent", False)
                if is_last or not isinstance(err, AuthError) or err.ble != _NO_PERMISSION:
                    raise
            finally:
                job.is_changing = False
            self._admin_ms = None

    async def enrol(self, command, plain, read, timeout_ms):
        """A change with several answers -> what `read(data)` makes of the last, the first that is not None; each may
        take `timeout_ms`. Not begun again by itself: whoever is at the door would not know.
        """
        job = self._job
        is_persistent = job.is_persistent
        job.is_persistent = False
        try:
            result = read(await self.change(command, plain))
        except LinkError:
            job.is_persistent = is_persistent and not job.was_sent
            raise
        while result is None:
            result = read(await self.follow(command, timeout_ms))
        job.is_persistent = is_persistent
        return result

    async def follow(self, command, timeout_ms):
        """A further answer to `command`, which was asked last and answers several times -> its data."""
        self._job.is_at_door = True
        try:
            return await self.link.follow(command, min(timeout_ms, remaining_ms(self.deadline_ms)))
        finally:
            self._job.is_at_door = False

    async def user_challenge(self):
        """The lock's number for a movement as a user (0x55), so that a double-locked door can refuse.

        A lock of ours wants to be told the flag position of its last reset of all ekeys; its administrator may ask.
        """
        lock = self.lock
        for is_last in (False, True):
            plain = session_client.check_user(flag_pos=lock.flag_pos, uid=self.uid)
            try:
                return self._genuine(await self.ask(opcodes.CHECK_USER, plain))
            except AuthError as err:
                if is_last or err.ble != _STALE_FLAG or not lock.is_own or not lock.admin_ps:
                    raise
            from firmware.lib.messages import ekey_client

            data = await self.ask_as_admin(opcodes.EKEY, ekey_client.status())
            lock.flag_pos = ekey_client.status_of(data)[0]
            self._registry.save(lock)

    async def challenge_for(self, uid):
        """The lock's number for a movement on behalf of the person with the ekey `uid`, to whose rights it holds us."""
        self._admin_ms = None  # a new check ends the session of before
        if not self.lock.admin_ps:
            raise Refusal("forbidden", SHARED_KEY, "shared_key")
        plain = session_client.check_admin(self.lock.admin_ps, uid=uid)
        return self._genuine(await self.ask(opcodes.CHECK_ADMIN, plain))

    def _genuine(self, data):
        """The challenge in an answer, if the lock may have drawn it. Raises ProtocolError, after an alarm.

        A peer may have the lock's key, or recorded answers of the lock, and not be the lock (security.md 2.1). Who
        answers a challenge gives `unlockKey` to whoever chose the number. The answer that brought the number decrypted
        strictly under the lock's key, which a peer without the key cannot achieve. A number that is neither impossible
        nor one of the last 64 is no recorded answer, and not the one number that such a peer repeats.
        """
        number = session_client.challenge(data)
        lock = self.lock
        if not 0 < number <= (_MAX_OWN if lock.is_own else 0xFFFFFFFF):
            why = "impossible_challenge"
        elif not lock.is_new_challenge(number):
            why = "repeated_challenge"
        else:
            return number
        self._registry.alarm(lock, why)
        raise ProtocolError("the challenge is not the lock's: %s" % why)

    async def status(self):
        """Ask for the state, and tell the registry, which knows whether to believe it -> (battery, state byte, door
        byte)."""
        status = session_client.status(await self.ask(opcodes.STATUS, session_client.status_request()))
        self._registry.status(self.lock, *status)
        return status

    async def verify(self):
        """After a movement, with its result told: does 0x14 of a lock whose answers are not known to be true agree
        with it? Once both states were told it is not asked any more (hardware-facts.md F33)."""
        lock = self.lock
        if lock.is_own or lock.may_prove or lock.is_asked_in_vain:
            return
        await self.link.listen(_SETTLE_MS)
        self.deadline_ms = ticks_add(ticks_ms(), _VERIFY_MS)
        try:
            await self.status()
        except FirmwareError:  # nothing is learned
            pass

    # --- knowing the lock

    async def get_to_know(self):
        """Read features and device info of a lock whose model is not known yet, and prove the keys; keep them."""
        lock = self.lock
        if not lock.verified:
            await self.prove()
        if lock.features is None:
            battery, lock.features = session_client.features(await self.ask(opcodes.FEATURES))
            self._registry.update(lock, battery=battery)
        if not lock.model:
            if lock.admin_ps:
                await self.login()  # nobody has tried without (hardware-facts.md F70)
            for item, name in ((1, "model"), (2, "hardware"), (3, "firmware")):
                setattr(lock, name, await self._device_text(item))
        if not lock.verified:
            lock.scene = self.link.pin
        lock.verified = True
        self._registry.save(lock)

    async def _device_text(self, item):
        try:
            return (
                session_client.device_text(await self.ask(opcodes.DEVICE_INFO, session_client.device_item(item)))
                or "unknown"
            )
        except FirmwareError as err:
            if not err.is_answer:
                raise
            return "unknown"  # the lock refuses the item: not every one has all

    async def may_unlock_remotely(self):
        """The remote-unlock switch as True, False, or None when it cannot be known (security.md 3.7).

        Asked once on each link and believed for as long as it is up: a lock serves one client at a time, so nobody can
        have changed it meanwhile. (security.md REM-3 would allow a day; but who switches it off beside the door expects
        it to count at once.) A lock without the switch's feature bit has none to consult.
        """
        lock = self.lock
        if lock.lacks("remote_unlock"):
            return not lock.lacks("unlock")
        if not self._switch_is_fresh:
            lock.switch = None
            try:
                battery, allowed = session_client.remote_unlock(
                    await self.ask(opcodes.REMOTE_UNLOCK, session_client.remote_unlock_query())
                )
            except FirmwareError as err:
                if not err.is_answer:
                    raise
                return None
            lock.switch = allowed
            self._switch_is_fresh = True
            self._registry.update(lock, battery=battery)
        return lock.switch

    async def describe(self):
        """What the lock is, as far as it says it: `data` of `info` and of `import`."""
        try:
            switch = await self.may_unlock_remotely()
        except FirmwareError:
            switch = None
        return dict(self.lock.summary(), remote_unlock=switch)


class Links:
    """`central` is a ble.central.Central, `make_link(channel, key, header, own_lock)` makes a ble.link.Link."""

    def __init__(self, central, make_link, registry):
        self._central = central
        self._make_link = make_link
        self._registry = registry

    def open(self, lock, until_ms, gives_way=None):
        """`async with links.open(lock, until_ms) as session:` Raises NotNear, LinkError; GaveWay when `gives_way()` was
        true between two attempts."""
        return _Opening(self, lock, until_ms, gives_way)

    async def enter(self, lock, until_ms, gives_way):
        """(context to leave, Session)"""
        try:
            await wait_for_ms(self._registry.until_fresh(lock), remaining_ms(until_ms))
        except asyncio.TimeoutError:
            raise NotNear("no advertisement of the lock")
        if lock.handles and not self._central.recall(lock.address):
            self._central.remember(lock.address, tuple(lock.handles))
        # Only our own lock is known to take a request together with the subscription; public clients pause in between
        # (lock-ble-link.md 10).
        context = self._central.connect(lock.address, lock.addr_type, until_ms, lock.is_own, gives_way)
        try:
            channel = await context.__aenter__()
        except LinkTimeout as err:
            raise LinkError("could not connect: %s" % err)
        header = (lock.scene, lock.group, lock.org)
        link = self._make_link(channel, lock.aes, header, lock.is_own, lock.pin)
        self._registry.linked(lock.address)
        return context, Session(link, lock, self._registry, until_ms)

    def leaving(self):
        """A link is about to be closed."""
        self._registry.linked(None)

    def left(self, lock):
        """A link to the lock has ended: keep its attribute handles on flash if they are new, or forget them."""
        handles = self._central.recall(lock.address)
        if handles is None:
            lock.handles = None  # the file may keep them: after a restart they are worth one try
        elif not lock.handles or tuple(lock.handles) != tuple(handles):
            lock.handles = handles
            self._registry.save(lock)


class _Opening:
    def __init__(self, links, *target):
        self._links = links
        self._target = target
        self._lock = target[0]

    async def __aenter__(self):
        self._context, session = await self._links.enter(*self._target)
        return session

    async def __aexit__(self, kind, err, trace):
        self._links.leaving()
        self._lock.advert = None  # what it advertises from now on is news, even if it looks as before
        await self._context.__aexit__(kind, err, trace)
        self._links.left(self._lock)
