"""Which records our lock really writes: all of its unit tests are run, and who asks for a record is noted (F103)."""

import sys
import unittest
from pathlib import Path

import pytest

from firmware.lock.device import Device
from tests.system.test_record_types import CAUSED, NEVER, NEWER

UNIT = Path(__file__).resolve().parent.parent / "unit"


@pytest.mark.timeout(600)
def test_f103_each_type_that_our_lock_causes_comes_of_a_real_flow_and_no_other_comes(monkeypatch):
    produced: dict[int, set] = {}
    plain = Device.record

    def record(self, kind, tail=b""):
        asked = Path(sys._getframe(1).f_code.co_filename)
        if asked.parts[-3:-1] == ("firmware", "lock") or "lock" in asked.parts[-3:-1]:  # and not a test itself
            produced.setdefault(kind, set()).add(asked.stem)
        plain(self, kind, tail)

    monkeypatch.setattr(Device, "record", record)
    modules = ["tests.unit." + path.stem for path in sorted(UNIT.glob("test_lock_*.py"))]
    suite = unittest.defaultTestLoader.loadTestsFromNames(modules)
    result = unittest.TestResult()
    suite.run(result)
    assert result.wasSuccessful(), (result.failures + result.errors)[0]
    print({kind: sorted(produced[kind]) for kind in sorted(produced)})
    assert not set(produced) & set(NEVER), sorted(set(produced) & set(NEVER))
    assert set(produced) == CAUSED | NEWER, sorted((CAUSED | NEWER) ^ set(produced))
