import sys
import time
import unittest


class _Rtc:
    note = b""

    def memory(self, octets=None):
        if octets is None:
            return _Rtc.note
        _Rtc.note = octets
        return None


class _Machine:
    RTC = _Rtc
    resets = 0

    @staticmethod
    def reset():
        _Machine.resets += 1


def _run(name):
    with open(name) as file:
        exec(file.read(), {"__name__": "__main__", "print": lambda *words: None})


class BootTest(unittest.TestCase):
    def setUp(self):
        self._machine = sys.modules.get("machine")
        self._path = sys.path[:]
        sys.modules["machine"] = _Machine
        _Rtc.note = b""
        _Machine.resets = 0

    def tearDown(self):
        sys.path[:] = self._path
        if self._machine is None:
            sys.modules.pop("machine", None)
        else:
            sys.modules["machine"] = self._machine

    def _note(self, starts, ago_s=0):
        _Rtc.note = b"GH1" + bytes([starts]) + (int(time.time()) - ago_s & 0xFFFFFFFF).to_bytes(4, "big")

    def test_slot_goes_on_the_path_once(self):
        _run("boot.py")
        _run("boot.py")
        self.assertEqual(sys.path.count("/a"), 1)

    def test_crash_loop_leaves_the_slot_off_the_path(self):
        self._note(6)
        _run("boot.py")
        self.assertFalse("/a" in sys.path)
        _run("main.py")  # and main.py does not start the application
        self.assertEqual((_Machine.resets, _Rtc.note[3]), (0, 6))

    def test_runs_long_ago_or_too_few_do_not_count(self):
        for starts, ago_s in ((5, 0), (6, 61)):
            sys.path[:] = self._path
            self._note(starts, ago_s)
            _run("boot.py")
            self.assertTrue("/a" in sys.path)

    def test_main_notes_the_start_and_without_a_role_leaves_the_prompt(self):
        _run("boot.py")
        _run("main.py")
        _run("main.py")
        self.assertEqual((_Rtc.note[:3], _Rtc.note[3], _Machine.resets), (b"GH1", 2, 0))

    def test_port_without_rtc_memory_has_no_guard(self):
        class Bare:
            class RTC:
                pass

        sys.modules["machine"] = Bare
        _run("boot.py")
        _run("main.py")
        self.assertTrue("/a" in sys.path)
