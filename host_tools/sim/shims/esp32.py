# MicroPython's `esp32` for simulated boards: the key-value store, in a file beside the flash image, so that every kind
# of reset and the erasing of the flash's files leave it alone, and its partition.
import _board
import _flash
import _nor
import _nvs
import _whole

_NOT_FOUND = -4354  # ESP_ERR_NVS_NOT_FOUND
_TOO_LONG = -4361  # ESP_ERR_NVS_KEY_TOO_LONG
_INVALID_LENGTH = -4364  # ESP_ERR_NVS_INVALID_LENGTH
_NVS = 2  # subtype of its partition

_nor_of_nvs = None
_store = None


def _flash_of_nvs():
    global _nor_of_nvs
    if _nor_of_nvs is None:
        path = _board.image + ".nvs"
        try:
            file = _board.host.open(path, "r+b")
        except OSError:
            with _board.host.open(path + ".new", "wb") as file:
                for _ in range(_nvs.PAGES):
                    file.write(b"\xff" * _nor.BLOCK)
            _board.host.rename(path + ".new", path)
            file = _board.host.open(path, "r+b")
        _nor_of_nvs = _nor.Nor(file, _nvs.PAGES, _flash.power)
    return _nor_of_nvs


def _entries():
    global _store
    if _store is None:
        _store = _nvs.Nvs(_flash_of_nvs())
    return _store


class NVS:
    # As ESP-IDF, it writes at once; `commit` has nothing left to do.
    def __init__(self, namespace):
        if len(namespace) > 15:
            raise OSError(_TOO_LONG, "ESP_ERR_NVS_KEY_TOO_LONG")
        self._namespace = namespace

    def _get(self, kind, key):
        if len(key) > 15:
            raise OSError(_TOO_LONG, "ESP_ERR_NVS_KEY_TOO_LONG")
        _whole.begin()
        try:
            value = _entries().get(self._namespace, kind, key)
        finally:
            _whole.end()
        if value is None:
            raise OSError(_NOT_FOUND, "ESP_ERR_NVS_NOT_FOUND")
        return value

    def _set(self, kind, key, value):
        if len(key) > 15:
            raise OSError(_TOO_LONG, "ESP_ERR_NVS_KEY_TOO_LONG")
        _whole.begin()
        try:
            _entries().set(self._namespace, kind, key, value)
        finally:
            _whole.end()

    def set_i32(self, key, value):
        if not -0x80000000 <= value <= 0x7FFFFFFF:
            raise OverflowError("overflow converting long int to machine word")
        self._set("i", key, value)

    def get_i32(self, key):
        return self._get("i", key)

    def set_blob(self, key, value):
        self._set("b", key, value.encode() if isinstance(value, str) else bytes(value))

    def get_blob(self, key, buffer):
        value = self._get("b", key)
        if len(value) > len(buffer):
            raise OSError(_INVALID_LENGTH, "ESP_ERR_NVS_INVALID_LENGTH")
        buffer[: len(value)] = value
        return len(value)

    def erase_key(self, key):
        _whole.begin()
        try:
            found = _entries().erase(self._namespace, "i", key)
            found = _entries().erase(self._namespace, "b", key) or found
        finally:
            _whole.end()
        if not found:
            raise OSError(_NOT_FOUND, "ESP_ERR_NVS_NOT_FOUND")

    def commit(self):
        pass


class Partition:
    # The one that holds NVS; `vfs` is mounted before anybody can ask for it.
    TYPE_APP = 0
    TYPE_DATA = 1

    def __init__(self, nor):
        self._nor = nor
        self.readblocks = nor.readblocks
        self.writeblocks = nor.writeblocks
        self.ioctl = nor.ioctl

    @staticmethod
    def find(type=TYPE_APP, subtype=0xFF, label=None, block_size=_nor.BLOCK):
        if type != Partition.TYPE_DATA or subtype not in (0xFF, _NVS) or label not in (None, "nvs"):
            return []
        return [Partition(_flash_of_nvs())]

    def info(self):
        return (Partition.TYPE_DATA, _NVS, 0x9000, _nvs.PAGES * _nor.BLOCK, "nvs", False)


WAKEUP_ALL_LOW = False
WAKEUP_ANY_HIGH = True
HEAP_DATA = 4
HEAP_EXEC = 1

wakes = {}  # what ends a deep sleep: "ext0" or "ext1" -> ([numbers of pins], level); machine.deepsleep hands it over
_RTC_PINS = (0, 2, 4, 12, 13, 14, 15, 25, 26, 27, 32, 33, 34, 35, 36, 37, 38, 39)


def _rtc_pin(pin):
    number = getattr(pin, "_id", pin)
    if number not in _RTC_PINS:
        raise ValueError("invalid pin")
    return number


def wake_on_ext0(pin=None, level=None):
    if pin is None:
        wakes.pop("ext0", None)
    else:
        wakes["ext0"] = ([_rtc_pin(pin)], 1 if level else 0)


def wake_on_ext1(pins=None, level=None):
    if not pins:
        wakes.pop("ext1", None)
    else:
        wakes["ext1"] = ([_rtc_pin(pin) for pin in pins], 1 if level else 0)


def wake_on_touch(wake):
    if wake:
        raise OSError(-262, "ESP_ERR_NOT_SUPPORTED")


wake_on_ulp = wake_on_touch


def gpio_deep_sleep_hold(enable):
    pass


def raw_temperature():
    return 128  # degrees Fahrenheit


def idf_heap_info(capabilities):
    return [(114688, 65536, 63488, 49152)]
