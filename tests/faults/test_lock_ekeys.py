"""Revocation of persons' ekeys at the lock (T-REV-1, T-REV-2): whatever a person kept, edited in whatever way."""

import random

import pytest

from firmware.lib import opcodes
from firmware.lib.messages import ekey_client, session_client
from tests.faults.rows import Row
from tests.scratch import scratch
from tests.unit.lock_rig import UNLOCK_KEY, Refused, Rig, erase

_UID, _OTHER = ekey_client.FIRST_UID, ekey_client.FIRST_UID + 1
_KEY, _OTHER_KEY = 1123581321, 314159265
_UNIX_S = 1778509387


class _Site:
    """A lock with two persons' ekeys, of which one is revoked."""

    def __init__(self, folder: str) -> None:
        self.rig = Rig(folder, clock_backup=True).paired()
        self._as_admin(ekey_client.add(_UID, _KEY), ekey_client.add(_OTHER, _OTHER_KEY))

    def _as_admin(self, *plains: bytes) -> None:
        self.rig.connect()
        self.rig.log_in()
        for plain in plains:
            self.rig.ask(opcodes.EKEY, plain)
        self.rig.disconnect()

    def revoke(self) -> None:
        self._as_admin(ekey_client.revoke(_UID))

    def opens(self, uid: int, key: int, start=None, end=None, flag_pos: int = 0) -> int:
        """0 when the bolt moved, else the error byte."""
        rig = self.rig
        rig.now_ms += 3_600_000 * 25  # pauses that wrong sums earn are not what is tried here
        moved = rig.pins.movements
        rig.connect()
        try:
            plain = session_client.check_user(start, end, flag_pos, uid)
            challenge = session_client.challenge(rig.ask(opcodes.CHECK_USER, plain))
            rig.ask(opcodes.UNLOCK, session_client.operate(challenge, key, _UNIX_S))
        except Refused as err:
            assert rig.pins.movements == moved
            return err.error
        finally:
            rig.disconnect()
        assert rig.pins.movements == moved + 1
        rig.wait(7000, 100)
        return 0


def _edited(draw: random.Random) -> dict:
    """What was kept, with some of it changed."""
    claim: dict = {"uid": _UID, "key": _KEY}
    if draw.random() < 0.5:
        claim.update(start=(2001, 1, 1, 0, 0), end=(2098, draw.randint(1, 12), 1, 0, 0))
    if draw.random() < 0.5:
        claim["flag_pos"] = draw.choice((1, 7, 0xFFFFFF, draw.getrandbits(24)))
    if draw.random() < 0.6:
        claim["uid"] = draw.choice((0, 1, _OTHER, _UID + 2, ekey_client.LAST_UID, draw.getrandbits(32)))
    return claim


def _try(row: Row, site: _Site, draw: random.Random, count: int) -> None:
    for _ in range(count):
        claim = _edited(draw)
        error = site.opens(**claim)
        row.check(error in (0x0D, 0x08), "%r opened, or was answered %02x" % (claim, error))
        if claim["uid"] == _UID:
            row.check(error == 0x0D, "%r: %02x" % (claim, error))


@pytest.mark.row("T-REV-1", "a revoked ekey's saved state, with edited dates, flag position and uid")
def test_nothing_a_person_kept_opens_after_the_revocation(row: Row) -> None:
    folder = scratch("rev-1")
    site = _Site(folder)
    row.check(site.opens(_UID, _KEY) == 0, "before")
    site.revoke()
    _try(row, site, random.Random(row.seed), row.count(60, 2000))
    row.check(site.opens(_OTHER, _OTHER_KEY) == 0, "the other person's")
    row.check(site.opens(0, UNLOCK_KEY) == 0, "the owner's")
    erase(folder)


@pytest.mark.row("T-REV-2", "the same after power cycles, and with an old request to add it that comes again")
def test_a_revocation_outlives_power_and_old_requests(row: Row) -> None:
    folder = scratch("rev-2")
    site = _Site(folder)
    site.revoke()
    draw = random.Random(row.seed)
    for _ in range(row.count(4, 40)):
        site.rig.start()
        site.rig.connect()
        site.rig.log_in()
        for plain in (ekey_client.add(_UID, _KEY), ekey_client.modify(_UID)):
            error = 0
            try:
                site.rig.ask(opcodes.EKEY, plain)
            except Refused as err:
                error = err.error
            row.check(error == 0x0D, "an old request was answered %02x" % error)
        site.rig.disconnect()
        _try(row, site, draw, 12)
    erase(folder)
