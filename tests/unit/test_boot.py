import sys
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


class _Time:
    slept_s = 0

    @staticmethod
    def sleep(pause_s):
        _Time.slept_s += pause_s


class _Gc:
    """The collector of a MicroPython whose heap has `size` bytes, `used` of them in use."""

    size = used = 0
    asked = []

    @staticmethod
    def mem_alloc():
        return _Gc.used

    @staticmethod
    def mem_free():
        return _Gc.size - _Gc.used

    @staticmethod
    def threshold(after):
        _Gc.asked.append(after)


class _App:
    """Stands for firmware.lock.app."""

    err = None
    asked = []

    @staticmethod
    def main(is_minimal):
        _App.asked.append(is_minimal)
        if _App.err:
            raise _App.err


class _Flash:
    """The few files at the root, and `os` as boot.py uses it."""

    files: dict = {}
    is_full = False

    @staticmethod
    def rename(old, new):
        _Flash.files[new] = _Flash.files.pop(old)


def _open(path, mode="r"):
    if mode == "w":
        if _Flash.is_full:
            raise OSError(28)
        _Flash.files[path] = ""
    if path in _Flash.files:
        return _Word(path)
    raise OSError(2)


class _Word:
    def __init__(self, path):
        self._path = path

    def read(self):
        return _Flash.files[self._path]

    def write(self, text):
        _Flash.files[self._path] += text

    def __enter__(self):
        return self

    def __exit__(self, *what):
        pass


def _run(name, with_role=True):
    with open(name) as file:
        names = {"__name__": "__main__", "print": lambda *words: None}
        _Flash.files.pop("/role", None)
        if with_role:
            _Flash.files["/role"] = "lock"
        names["open"] = _open
        exec(file.read(), names)


class BootTest(unittest.TestCase):
    def setUp(self):
        self._kept = {name: sys.modules.get(name) for name in ("machine", "time", "os", "gc", "firmware.lock.app")}
        self._path = sys.path[:]
        sys.modules["machine"] = _Machine
        sys.modules["time"] = _Time
        sys.modules["os"] = _Flash
        sys.modules["firmware.lock.app"] = _App
        self._print = getattr(sys, "print_exception", None)
        if self._print is None:
            sys.print_exception = lambda err: None
        _Rtc.note = b""
        _Machine.resets = _Time.slept_s = 0
        _App.err = None
        _App.asked = []
        _Flash.files = {}
        _Flash.is_full = False

    def tearDown(self):
        sys.path[:] = self._path
        if self._print is None:
            del sys.print_exception
        for name in self._kept:
            if self._kept[name] is None:
                sys.modules.pop(name, None)
            else:
                sys.modules[name] = self._kept[name]

    def _start(self):
        """One start of the board, as far as it is a matter of these two."""
        sys.path[:] = self._path
        _run("boot.py")
        _run("main.py")

    def test_slot_goes_on_the_path_once(self):
        _run("boot.py")
        _run("boot.py")
        self.assertEqual(sys.path.count("/a"), 1)

    def _slots(self, starts, word=None):
        """The slots of so many starts, and the word that is left."""
        if word is not None:
            _Flash.files["/slot"] = word
        found = ""
        for _ in range(starts):
            self._start()
            found += "b" if "/b" in sys.path else "a" if "/a" in sys.path else "-"
        return found, _Flash.files.get("/slot")

    def test_slot_of_the_word_is_started(self):
        self.assertEqual(self._slots(1), ("a", None))
        self.assertEqual(self._slots(2, "b"), ("bb", "b"))
        self.assertEqual(self._slots(2, "a\n"), ("aa", "a\n"))
        self.assertEqual(self._slots(2, ""), ("aa", ""))

    def test_firmware_on_trial_has_one_start_to_say_that_it_works(self):
        self.assertEqual(self._slots(3, "b??"), ("baa", "a"))
        self.assertEqual(self._slots(3, "a??"), ("abb", "b"))
        self.assertEqual(self._slots(1, "b??"), ("b", "b?"))
        self.assertEqual(self._slots(2, "b"), ("bb", "b"))  # it has

    def test_starts_of_other_firmware_do_not_count(self):
        _App.err = ValueError("broken")
        self.assertEqual(self._slots(9, "b")[0], "b" * 9)
        self.assertEqual(self._slots(1, "a??"), ("a", "a?"))
        self.assertEqual(_Rtc.note[3], 1)
        self.assertEqual(self._slots(1), ("b", "b"))
        self.assertEqual(_Rtc.note[3], 1)

    def test_no_trial_where_it_cannot_be_noted(self):
        _Flash.is_full = True
        self.assertEqual(self._slots(2, "b??"), ("aa", "b??"))
        self.assertEqual(self._slots(2, "b?"), ("aa", "b?"))

    def test_five_quick_resets_lead_to_minimal_mode_and_ten_to_safe_mode(self):
        _App.err = ValueError("broken")
        for _ in range(10):
            self._start()
        self.assertEqual(_App.asked, [False] * 5 + [True] * 5)
        self.assertEqual(_Machine.resets, 10)
        _Time.slept_s = 0
        self._start()  # safe mode: nothing of ours runs, and another try is ten minutes away
        self.assertEqual((len(_App.asked), _Time.slept_s, _Machine.resets, _Rtc.note[3]), (10, 600, 11, 0))
        self._start()
        self.assertEqual(_App.asked[10:], [False])

    def test_a_start_that_lasted_is_not_one_of_a_row(self):
        for _ in range(12):
            self._start()
            _Rtc.note = _Rtc.note[:3] + b"\x00" + _Rtc.note[4:]  # what `restarts.healthy` does
        self.assertEqual(_App.asked, [False] * 12)

    def test_a_loss_of_power_begins_anew(self):
        _App.err = ValueError("broken")
        for _ in range(7):
            self._start()
        _Rtc.note = b""
        self._start()
        self.assertFalse(_App.asked[-1])

    def test_an_escaped_exception_is_noted_and_the_counts_are_kept(self):
        _App.err = MemoryError()
        _Rtc.note = b"GH2\x00" + bytes(range(100, 143))
        self._start()
        self.assertEqual(_Rtc.note[:17], b"GH2\x01\x07MemoryError\x00")
        self.assertEqual(_Rtc.note[17:], bytes(range(113, 143)))

    def test_garbage_is_collected_early_but_in_psram(self):
        sys.modules["gc"] = _Gc
        for size, while_importing, after in (
            (56 << 10, 512, 2048),
            (104 << 10, 512, 2048),
            ((256 << 10) - 1, 512, 2048),
            (256 << 10, 2048, 8192),
            (400 << 10, 2048, 8192),
            ((1 << 20) - 1, 2048, 8192),
            (1 << 20, None, None),
            (8 << 20, None, None),
        ):
            for used in (0, size // 3, size):
                _Rtc.note = b""  # these starts are no row
                _Gc.size, _Gc.used, _Gc.asked = size, used, []
                self._start()
                self.assertEqual(_Gc.asked, [while_importing, after] if after else [], "%d of %d" % (used, size))

    def test_without_a_role_the_board_stays_at_its_prompt(self):
        _run("boot.py")
        _run("main.py", False)
        _run("main.py", False)
        self.assertEqual((_Rtc.note[:4], _Machine.resets), (b"GH2\x00", 0))

    def test_port_without_rtc_memory_has_no_guard(self):
        class Bare:
            resets = 0

            class RTC:
                pass

            @staticmethod
            def reset():
                Bare.resets += 1

        sys.modules["machine"] = Bare
        self._start()
        self.assertTrue("/a" in sys.path)
        self.assertEqual((_App.asked, Bare.resets), ([False], 1))
