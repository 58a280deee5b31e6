"""By whose word a lock's clock is moved, and how far (mqtt.md 2, "Time")."""

import json
import unittest

from firmware.gateway.admission import Refusal
from firmware.gateway.lock import from_dict
from firmware.lib import dates, opcodes, records
from tests.unit import command_rig
from tests.unit.gateway_rig import run
from tests.unit.test_gateway_records import Rig

_HOUR = 3600
_DAY = 86400
_MOVES = (31, 299, 301, 599, _HOUR, _DAY - 1, 7 * _DAY, 250 * _DAY)
_BERLIN = "CET-1CEST,M3.5.0,M10.5.0/3"


class World(Rig):
    """A gateway and a lock whose clock runs; `ahead_s` is how far it is ahead of the gateway's, in UTC."""

    def __init__(self, name, zone="UTC0"):
        super().__init__("clocks-" + name)
        self.lock.zone = zone
        self.moved = []
        self.clocks.on_moved = lambda lock, moved_s: self.moved.append(moved_s)

    def show(self, ahead_s, offset_min=0):
        self.far.clock6 = dates.from_unix(self.clock.unix_s + ahead_s + 60 * offset_min)

    @property
    def ahead_s(self):
        return dates.to_unix(self.far.clock6) - self.clock.unix_s

    def record(self, ago_s=0, kind=1):
        """The lock writes a record by its clock, and the gateway reads it."""
        date = dates.from_unix(dates.to_unix(self.far.clock6) - ago_s)
        self.far.records.append(records.encode(kind, date, 90, records.by_user(7, len(self.far.records))))
        self.read()

    def correct(self, limit_s=30, is_asked=False, rule=None):
        """-> True where the clock was set, or the code of the refusal."""
        try:
            return run(self.clocks.correct(self.session(), limit_s, rule, None, is_asked))["set"]
        except Refusal as err:
            return err.reason

    def look(self):
        """As the plan does -> as `correct`; None where nothing is due."""
        return self.correct() if self.clocks.is_due(self.lock) else None


class MovesTest(unittest.TestCase):
    def test_servers_move_a_clock_by_five_minutes_at_most_and_a_signed_time_does_the_rest(self):
        for index, far_s in enumerate(_MOVES):
            for ahead_s in (far_s, -far_s):
                world = World("moves-%d" % index)
                world.show(ahead_s)
                wanted = True if far_s <= 300 else "unproven_time"
                self.assertEqual(world.correct(), wanted, str(ahead_s))
                self.assertEqual((world.ahead_s, world.moved), (0 if far_s <= 300 else ahead_s, []))
                world.clock.is_signed = True
                world.clock.unix_s += 301
                world.show(ahead_s)
                self.assertTrue(far_s <= 300 or world.look(), str(ahead_s))
                if far_s > 300:
                    self.assertEqual((world.ahead_s, world.moved), (0, [-ahead_s]))

    def test_small_moves_add_up(self):
        for step_s in (31, 100, 150, -31, -120, -299):
            world = World("sum")
            moved_s = 0
            for _ in range(20):
                world.show(-step_s)  # the gateway's clock goes on walking
                result = world.correct(0)
                self.assertEqual(result, True if abs(moved_s + step_s) <= 300 else "unproven_time")
                moved_s += step_s if result is True else 0
                world.registry.save(world.lock)
                self.assertEqual(world.lock.as_dict()["servers_s"], moved_s)
            world.clock.is_signed = True
            world.show(-step_s)
            self.assertEqual((world.correct(0), world.lock.servers_s), (True, 0))

    def test_what_a_crystal_drifts_is_no_walk(self):
        for per_day_s in (2, -4, 4):
            world = World("drift")
            world.show(0)
            for _ in range(400):
                world.clock.up_s += _DAY
                world.show(per_day_s)
                self.assertEqual(world.correct(1), True)
        world = World("fast")
        told = []
        for _ in range(400):
            world.clock.up_s += _DAY
            world.show(9)
            told.append(world.correct(1))
        self.assertEqual(told.index("unproven_time"), 59)  # five seconds a day more than is taken for drift

    def test_a_change_of_offset_is_no_move_in_either_direction(self):
        for turn_s, before, after in ((1774746000, 60, 120), (1792890000, 120, 60)):
            world = World("turn-%d" % before, _BERLIN)
            world.clock.unix_s = turn_s - _HOUR
            world.show(2, before)
            self.assertEqual(world.correct(), False)
            world.record()
            world.clock.unix_s = turn_s + 5
            world.show(2, before)
            self.assertEqual(world.look(), True)
            self.assertEqual((world.ahead_s, world.moved), (60 * after, []))
            self.assertTrue(abs(world.lock.servers_s) < 5)

    def test_servers_that_lie_by_the_hour_of_the_zone_move_nothing(self):
        for lie_s in (_HOUR, -_HOUR):
            for is_met in (True, False):
                world = World("hour", _BERLIN)
                world.show(0, 120)  # September
                if is_met:
                    self.assertEqual(world.correct(), False)
                world.clock.unix_s += lie_s
                shown = world.far.clock6
                world.read()
                for _ in range(3):
                    self.assertEqual(world.correct(0), "unproven_time")
                self.assertEqual(world.far.clock6, shown)

    def test_another_zone_of_the_owners_is_no_move(self):
        world = World("zone")
        world.show(3)
        self.assertEqual(world.correct(), False)
        self.assertEqual(world.correct(0, rule="<+0530>-5:30"), True)
        self.assertEqual((world.ahead_s, world.moved, world.lock.servers_s), (330 * 60, [], -3))


class LostTest(unittest.TestCase):
    def test_a_clock_that_is_plainly_lost_is_set_by_servers(self):
        for index, lose in enumerate(("none", "2000", "older", "power")):
            world = World("lost-%d" % index)
            world.show(0)
            world.record()
            self.assertEqual(world.correct(), False)
            world.clock.unix_s += 5 * _DAY
            if lose == "none":
                world.far._answer = _no_date(world.far._answer)
            elif lose == "2000":
                world.far.clock6 = (2000, 1, 1, 0, 4, 0)
            elif lose == "older":
                world.show(-6 * _DAY)
            else:  # it goes on from its newest record, as ours does
                world.show(-5 * _DAY)
                world.record(0, 14)
            self.assertEqual((world.look(), len(world.moved)), (True, 1), lose)
            self.assertEqual(world.lock.servers_s, 0)
            self.assertEqual(world.ahead_s, 0)

    def test_what_only_looks_lost_is_not(self):
        for index, (ahead_s, ago_s, kind) in enumerate(
            (
                (-_DAY, 0, 1),  # behind, as its newest record is
                (-_DAY, _HOUR, 1),
                (-_HOUR, -200, 1),
                (_DAY, 0, 14),  # a clock without power does not run ahead
            )
        ):
            world = World("whole-%d" % index)
            world.show(0)
            self.assertEqual(world.correct(), False)
            world.clock.unix_s += 2 * _DAY
            world.show(ahead_s)
            world.record(ago_s, kind)
            self.assertEqual(world.look(), "unproven_time", str(ahead_s))
            self.assertEqual((world.ahead_s, world.moved), (ahead_s, []))

    def test_an_old_loss_of_power_says_nothing_of_today(self):
        world = World("old")
        world.show(-_DAY)
        world.record(30 * _DAY, 14)
        self.assertEqual(world.correct(), "unproven_time")


class BackTest(unittest.TestCase):
    def test_past_its_newest_record_a_clock_goes_back_only_when_the_owner_asks(self):
        for is_signed in (False, True):
            for ahead_s, ago_s, wanted in (
                (100, 0, "unproven_time"),
                (100, 60, "unproven_time"),
                (100, 75, True),
                (25, 0, True),
                (2 * _HOUR, _HOUR, "unproven_time"),
                (2 * _HOUR, 2 * _HOUR, True if is_signed else "unproven_time"),
            ):
                for is_asked in (False, True):
                    world = World("back")
                    world.clock.is_signed = is_signed
                    world.show(ahead_s)
                    world.record(ago_s)
                    result = world.correct(0, is_asked)
                    is_allowed = is_asked and (is_signed or ahead_s <= 300)
                    self.assertEqual(result, True if is_allowed else wanted, "%d, %d" % (ahead_s, ago_s))

    def test_records_that_were_not_read_yet_count_too(self):
        world = World("unread")
        world.show(100)
        world.far.records.append(records.encode(1, world.far.clock6, 90, records.by_user(7, 1)))
        self.assertEqual(world.correct(0), "unproven_time")

    def test_only_a_signed_time_sync_asks(self):
        for is_signed in (False, True):
            rig = command_rig.Rig("clocks-asked-%d" % is_signed, owner=bytes(32))
            rig.clock.is_signed = True
            rig.far.clock6 = dates.from_unix(rig.clock.unix_s + 7200)
            rig.far.records = [records.encode(1, rig.far.clock6, 90, records.by_user(7, 1))]
            result = rig.ask_signed("time_sync") if is_signed else rig.ask("time_sync", {})
            self.assertEqual(result["code"], "ok" if is_signed else "refused", str(result))
            if not is_signed:
                self.assertEqual(result["data"]["reason"], "unproven_time")


class PlanTest(unittest.TestCase):
    def test_a_lock_that_is_far_off_is_asked_once_a_day_and_at_once_when_the_time_is_signed(self):
        world = World("plan")
        world.show(-_HOUR)
        self.assertEqual(world.look(), "unproven_time")
        for _ in range(20):
            world.clock.unix_s += _HOUR
            world.show(-_HOUR)
            self.assertEqual(world.look(), None)
        world.clock.is_signed = True
        self.assertEqual(world.look(), True)
        self.assertEqual(world.look(), None)


def _no_date(answer):
    """A lock whose clock shows none until it is set."""

    sent = []

    def told(command, plain):
        sent.append(command)
        is_lost = command == opcodes.GET_CLOCK and opcodes.SET_CLOCK not in sent
        return bytes(6) if is_lost else answer(command, plain)

    return told


class DriftTest(unittest.TestCase):
    def days(self, world, s_day, count, since_s=0):
        """The lock's clock goes by `s_day` for so many days, and is looked at daily."""
        ahead_s = since_s
        for _ in range(count):
            world.clock.unix_s += _DAY
            ahead_s += s_day
            world.show(ahead_s, world.lock.shown_min or 0)
            if world.look():
                ahead_s = world.ahead_s - 60 * (world.lock.shown_min or 0)

    def test_a_locks_drift_is_measured_over_looks_settings_and_changes_of_offset(self):
        for zone, s_day in (("UTC0", -9), ("UTC0", 0), ("UTC0", 4), (_BERLIN, -3), (_BERLIN, 12)):
            world = World("drift-rate", zone)
            world.clock.is_signed = True
            world.show(0)
            world.correct(0)
            before = world.lock.shown_min
            world.moved = []
            self.days(world, s_day, 60)
            value, error = world.lock.drift
            self.assertTrue(abs(value - s_day) <= error <= 2.1, (zone, s_day, value, error))
            self.assertEqual(world.lock.shown_min == before, zone == "UTC0")
            self.assertEqual(world.moved, [])

    def test_it_outlives_a_restart_and_is_told_once_when_out_of_range(self):
        world = World("drift-odd")
        told = []
        world.clocks.on_drift = lambda lock: told.append(lock.drift[0])
        world.clock.is_signed = True
        world.show(0)
        world.correct(0)
        self.days(world, -45, 4)
        self.assertEqual(told, [-45.0])
        again = from_dict(json.loads(json.dumps(world.lock.as_dict())))
        self.assertEqual((again.drift, again.pace), (world.lock.drift, world.lock.pace))
        self.assertEqual(again.drift[0], -45.0)

    def test_a_jump_of_the_gateways_own_time_is_no_drift_of_the_lock(self):
        world = World("drift-jump")
        told = []
        world.clocks.on_drift = told.append
        world.clock.is_signed = True
        world.show(0)
        world.correct(0)
        self.days(world, 1, 3)
        known = world.lock.drift
        world.clock.unix_s += _HOUR  # the gateway's time is wrong from here on
        world.clock.jumped_s = world.clock.unix_s
        self.days(world, 1, 1, -_HOUR)
        self.assertEqual((world.lock.drift, told), (known, []))


class StatesTest(unittest.TestCase):
    def test_what_each_state_of_the_gateways_clock_allows(self):
        """As the table of mqtt.md 2.3."""
        for trusted in (False, True):
            rig = command_rig.Rig("states", owner=bytes(range(32)))
            rig.clock.trusted = trusted
            wanted = "ok" if trusted else "no_clock"
            self.assertEqual(rig.ask("lock", exp=rig.clock.unix_s + 9)["code"], wanted)
            self.assertEqual(rig.ask("lock")["code"], "ok")
            self.assertEqual(rig.ask("state")["code"], "ok")
            self.assertEqual(rig.clock.trusted, trusted)
            self.assertEqual(rig.ask_signed("unlock")["code"], "ok")
            self.assertTrue(rig.clock.trusted)  # signed time
