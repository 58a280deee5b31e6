import unittest

from firmware.system.log import DEBUG, ERROR, Log, address_text
from firmware.system.timing import ticks_add


class _Clock:
    def __init__(self):
        self.now_ms = 0

    def __call__(self):
        return self.now_ms


class LogTest(unittest.TestCase):
    def setUp(self):
        self.lines = []
        self.clock = _Clock()
        self.log = Log(self.clock, self.lines.append)
        self.area = self.log.area("link")

    def test_line_has_the_form_of_the_style_guide(self):
        self.clock.now_ms = 12408
        self.area.info("connected", rssi_dbm=-61, addr=bytes.fromhex("aabbccddeeff"))
        self.assertEqual(self.lines, ["  12.408 I link connected addr=aa:bb:cc:dd:ee:ff rssi_dbm=-61"])

    def test_values_stay_one_word(self):
        self.area.warn("refused", err=ValueError("two words"), raw=b"\x01\xff", empty="", text='a "b"\nc')
        self.assertEqual(
            self.lines, ['   0.000 W link refused empty="" err="ValueError: two words" raw=01ff text="a \'b\' c"']
        )

    def test_silent_level_writes_nothing(self):
        self.area.debug("sent")
        self.assertEqual(self.lines, [])
        self.log.level = DEBUG
        self.area.debug("sent")
        self.log.level = ERROR
        self.area.warn("late")
        self.assertEqual(len(self.lines), 1)

    def test_traceback_lines_are_indented(self):
        try:
            raise KeyError("x")
        except KeyError as err:
            self.area.crash("failed", err, job="scan")
        self.assertTrue(self.lines[0].startswith("   0.000 E link failed err="))
        self.assertTrue(len(self.lines) > 2)
        for line in self.lines[1:]:
            self.assertTrue(line.startswith("    | "))

    def test_address_text(self):
        self.assertEqual(address_text(b"\x00\x01\x02\x0a\xfe\xff"), "00:01:02:0a:fe:ff")


class BoundTest(unittest.TestCase):
    def setUp(self):
        self.lines = []
        self.clock = _Clock()
        self.log = Log(self.clock, self.lines.append)
        self.area = self.log.area("link")

    def test_control_characters_make_no_lines_and_no_escapes(self):
        for code in list(range(33)) + [127]:
            self.lines.clear()
            self.area.info("named", name="a%sb" % chr(code))
            self.assertEqual(self.lines, ['   0.000 I link named name="a b"'])

    def test_printed_time_outlives_days_without_a_line(self):
        for _ in range(40):
            self.clock.now_ms = ticks_add(self.clock.now_ms, 86400000)
            self.log.pass_time()
        self.area.info("still")
        self.assertEqual(self.lines, ["3456000.000 I link still"])

    def test_a_hundred_at_once_then_twenty_a_second_and_the_rest_is_counted(self):
        for _ in range(150):
            self.area.info("flood")
        self.assertEqual((len(self.lines), self.log.dropped), (100, 50))
        self.clock.now_ms += 1000
        for _ in range(150):
            self.area.info("flood")
        self.assertEqual(len(self.lines), 120)
        self.assertEqual(self.lines[100], "   1.000 W log suppressed lines=50")
        self.clock.now_ms += 60000
        self.area.info("calm")
        self.assertEqual(len(self.lines), 122)
