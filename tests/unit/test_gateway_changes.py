"""What is said of each operation that changes something when its answer is lost: what may have been done is neither
`cancelled` nor `expired`, and `ok` is only what was proven (security.md CMD-5; domain.md 5.5, `outcome_unknown`).
"""

import unittest

from firmware.gateway.operations import table
from tests.unit.change_rig import CHANGES, ChangeRig, FarLock

_ENDS = (("cancel", "cancelled"), ("expire", "expired"))


def _changing():
    """(operation, its flags) of those that change something, from the table."""
    for op in sorted(table.operations()):
        flags = table.rules(op, True)
        if flags & (table.GUARDED | table.DURABLE | table.VOLATILE) and not flags & table.LOCAL:
            if op != "fingerprint_add":  # no lock takes it
                yield op, flags


class ChangesTest(unittest.TestCase):
    def rig(self, op, cut_at=0, how=None):
        far = FarLock()
        far.cut_at, far.how = cut_at, how
        rig = ChangeRig(None, far)
        rig.request(op)
        return rig

    def test_every_change_there_is_goes_through_this(self):
        self.assertEqual(sorted(dict(_changing())), sorted(CHANGES))

    def test_whatever_else_there_is_changes_nothing(self):
        changing = dict(_changing())
        for op in table.operations():
            flags = table.rules(op, True)
            if op in changing or op == "fingerprint_add" or flags & table.LOCAL:
                continue
            rig = ChangeRig()
            self.assertEqual(rig.ask(op)["code"], "ok", op)
            self.assertEqual(rig.far.changes, 0, op)

    def test_no_step_is_forgotten_when_its_answer_is_lost(self):
        for op, flags in _changing():
            rig = self.rig(op)
            self.assertEqual(rig.serve("end"), ["ok"], op)
            steps = rig.far.changes
            self.assertTrue(steps >= 1, op)
            for step in range(1, steps + 1):
                for end, said in _ENDS:
                    self._lost(op, flags, step, end)
                    self._not_sent(op, flags, step, end, said)

    def _lost(self, op, flags, step, end):
        rig = self.rig(op, step, "lost")
        if not flags & table.DURABLE:
            self.assertEqual(rig.serve("break", end, "end"), ["outcome_unknown"], (op, step, end))
            return
        self.assertEqual(rig.serve("break", "round"), [], op)
        if end == "cancel":
            rig = rig.restarted()  # that it may have been done is on flash
        self.assertEqual(rig.serve(end, "end"), ["outcome_unknown"], (op, step, end))

    def _not_sent(self, op, flags, step, end, said):
        rig = self.rig(op, step, "before")
        codes = rig.serve("break", end, "end")
        if step > 1:
            said = "outcome_unknown"  # it is half done
        elif not flags & table.DURABLE:
            said = "link"
        self.assertEqual(codes, [said], (op, step, end))

    def test_a_job_that_dies_after_its_change_left_says_so(self):
        for op, flags in _changing():
            rig = self.rig(op, 1, "memory")
            if flags & table.DURABLE:
                self.assertEqual(rig.serve("break", "round", "cancel", "end"), ["outcome_unknown"], op)
            else:
                self.assertEqual(rig.serve("end"), ["outcome_unknown"], op)
            rig = self.rig(op, 1, "hang")
            codes = rig.serve("break")  # and what runs is stopped
            if flags & table.DURABLE:
                self.assertEqual(codes, [], op)
                codes = rig.serve("cancel", "end")
            self.assertEqual(codes, ["outcome_unknown"], op)


if __name__ == "__main__":
    unittest.main()
