# ESP-IDF's non-volatile storage on NOR flash: pages of 126 entries of 32 bytes, written one behind the other, erased
# only by a mark until their page is needed, in the layout of Espressif's "NVS Storage Library" documentation. What a
# dump of the chip would show is therefore what a dump of this store shows. Simplified: one chunk per blob, no
# encryption, and a choice of the page to free that counts what is live instead of what is erased.
#
# What it keeps in memory is made once and never grows, because it lies on the heap of the board that is measured: the
# states of all entries and, as ESP-IDF does, a hash for each item, with which a search reads few entries.
import binascii
import struct

PAGES = 6  # 24 KiB, as in MicroPython's partition table
_PAGE = 4096
_ENTRY = 32
_ENTRIES = 126
_ACTIVE, _FULL, _FREEING = 0xFFFFFFFE, 0xFFFFFFFC, 0xFFFFFFF8
_EMPTY, _WRITTEN, _ERASED = 3, 2, 0
_U8, _I32, _DATA, _INDEX = 0x01, 0x14, 0x42, 0x48
_ANY = 0xFF
NO_SPACE = -4357  # ESP_ERR_NVS_NOT_ENOUGH_SPACE


def _crc(octets):
    return binascii.crc32(octets, 0xFFFFFFFF) & 0xFFFFFFFF


class _Page:
    def __init__(self, number):
        self.number = number
        self.bits = bytearray(32)  # the states of its entries, two bits each
        self.blank()

    def blank(self):
        self.state = None  # None: blank
        self.seq = 0
        self.used = 0  # entries that take no more
        for at in range(len(self.bits)):
            self.bits[at] = 0xFF

    def live(self):
        return sum(self.entry(place) == _WRITTEN for place in range(_ENTRIES))

    def entry(self, place):
        return self.bits[place >> 2] >> (place & 3) * 2 & 3

    def mark(self, place, state):
        self.bits[place >> 2] &= ~((state ^ 3) << (place & 3) * 2)


def _named(key):
    return key.encode() + bytes(16 - len(key))


def _item(raw):
    # (namespace, type, chunk, name) of an entry
    return raw[0], raw[1], raw[3], raw[8:24]


def _hash(item):
    number, kind, chunk, named = item
    return 1 + (_crc(named) + number + kind + chunk) % 255


class Nvs:
    def __init__(self, nor):
        self._nor = nor
        self._pages = [_Page(number) for number in range(nor.blocks)]
        self._heads = bytearray(nor.blocks * _ENTRIES)  # by entry: the hash of the item that begins there, else 0
        self._load()

    # --- what esp32.NVS offers

    def get(self, space, kind, key):
        # i32: a number; blob: bytes; None when there is none
        number = self._namespace(space, False)
        if number is None:
            return None
        if kind == "i":
            found = self._find((number, _I32, _ANY, _named(key)))
            return None if found is None else struct.unpack("<i", self._entry(found)[24:28])[0]
        found = self._find((number, _INDEX, _ANY, _named(key)))
        if found is None:
            return None
        size, _, chunk = struct.unpack("<IBB", self._entry(found)[24:30])
        found = self._find((number, _DATA, chunk, _named(key)))
        if found is None:
            return None
        page, place, span = found
        octets = self._read(page, place + 1, span - 1)[:size]
        return octets if _crc(octets) == struct.unpack("<I", self._entry(found)[28:32])[0] else None

    def set(self, space, kind, key, value):
        number = self._namespace(space, True)
        if self.get(space, kind, key) == value:
            return
        named = _named(key)
        if kind == "i":
            self._replace((number, _I32, _ANY, named), struct.pack("<i4s", value, b"\xff" * 4))
            return
        index = (number, _INDEX, _ANY, named)
        old = self._find(index)
        before = None if old is None else self._entry(old)[29]
        chunk = 0 if before == 0x80 else 0x80 if before == 0 else 0
        self._write((number, _DATA, chunk, named), struct.pack("<HHI", len(value), 0xFFFF, _crc(value)), value)
        self._replace(index, struct.pack("<IBBH", len(value), 1, chunk, 0xFFFF))
        if before is not None:
            self._erase((number, _DATA, before, named))

    def erase(self, space, kind, key):
        # True if there was one
        number = self._namespace(space, False)
        if number is None:
            return False
        named = _named(key)
        if kind == "i":
            return self._erase((number, _I32, _ANY, named))
        index = (number, _INDEX, _ANY, named)
        found = self._find(index)
        if found is None:
            return False
        chunk = self._entry(found)[29]
        self._erase(index)
        self._erase((number, _DATA, chunk, named))
        return True

    def _namespace(self, space, make):
        item = (0, _U8, _ANY, _named(space))
        found = self._find(item)
        if found is not None:
            return self._entry(found)[24]
        if not make:
            return None
        highest = 0
        for page in self._pages:
            for _, raw in self._items(page):
                if raw[:2] == bytes((0, _U8)):
                    highest = max(highest, raw[24])
        self._write(item, bytes((highest + 1,)) + b"\xff" * 7)
        return highest + 1

    # --- entries

    def _find(self, item):
        # (page, place, span) of the item, None when there is none
        sought = bytes((_hash(item),))
        at = self._heads.find(sought)
        while at >= 0:
            page, place = self._pages[at // _ENTRIES], at % _ENTRIES
            raw = self._read(page, place, 1)
            if _item(raw) == item:
                return page, place, raw[2]
            at = self._heads.find(sought, at + 1)
        return None

    def _items(self, page):
        # (place, first entry) of each item in a page
        for place in range(_ENTRIES):
            if self._heads[page.number * _ENTRIES + place]:
                yield place, self._read(page, place, 1)

    def _read(self, page, place, count):
        buf = bytearray(_ENTRY * count)
        self._nor.readblocks(page.number, buf, 64 + _ENTRY * place)
        return bytes(buf)

    def _entry(self, found):
        return self._read(found[0], found[1], 1)

    def _program(self, page, at, octets):
        self._nor.writeblocks(page.number, octets, at)

    def _mark(self, page, place, count, state):
        # The states of entries, a word of 16 at a time
        for word in range(place >> 4, (place + count - 1 >> 4) + 1):
            for each in range(max(place, word << 4), min(place + count, word + 1 << 4)):
                page.mark(each, state)
            self._program(page, 32 + 4 * word, bytes(page.bits[4 * word : 4 * word + 4]))
        if state == _ERASED:
            self._heads[page.number * _ENTRIES + place] = 0

    def _write(self, item, data, blob=b"", page=None):
        span = 1 + (len(blob) + _ENTRY - 1) // _ENTRY
        page = page or self._room(span)
        place = page.used
        number, kind, chunk, named = item
        head = bytes((number, kind, span, chunk))
        page.used += span
        self._program(page, 64 + _ENTRY * place, head + struct.pack("<I", _crc(head + named + data)) + named + data)
        self._mark(page, place, 1, _WRITTEN)
        if blob:
            blob += b"\xff" * (-len(blob) % _ENTRY)
            self._program(page, 64 + _ENTRY * (place + 1), blob)
            self._mark(page, place + 1, span - 1, _WRITTEN)
        self._heads[page.number * _ENTRIES + place] = _hash(item)

    def _replace(self, item, data):
        page = self._room(1)  # which may move the old one, so that is looked for afterwards
        old = self._find(item)
        self._write(item, data, b"", page)
        if old is not None:
            self._mark(old[0], old[1], old[2], _ERASED)

    def _erase(self, item):
        found = self._find(item)
        if found is None:
            return False
        self._mark(found[0], found[1], found[2], _ERASED)
        return True

    # --- pages

    def _header(self, page, state):
        page.state = state
        tail = struct.pack("<IB19s", page.seq, 0xFE, b"\xff" * 19)
        self._program(page, 0, struct.pack("<I", state) + tail + struct.pack("<I", _crc(tail)))

    def _erase_page(self, page):
        self._nor.erase(page.number)
        page.blank()
        for place in range(_ENTRIES):
            self._heads[page.number * _ENTRIES + place] = 0

    def _room(self, span):
        active = [page for page in self._pages if page.state == _ACTIVE]
        if active and active[0].used + span <= _ENTRIES:
            return active[0]
        for page in active:
            self._header(page, _FULL)
        blank = [page for page in self._pages if page.state is None]
        if not blank:
            raise OSError(NO_SPACE, "ESP_ERR_NVS_NOT_ENOUGH_SPACE")
        if len(blank) > 1:
            return self._activate(blank[0])
        victim = min((page for page in self._pages if page.state), key=lambda page: page.live())
        if victim.live() + span > _ENTRIES:
            raise OSError(NO_SPACE, "ESP_ERR_NVS_NOT_ENOUGH_SPACE")
        self._header(victim, _FREEING)  # from here until it is blank, the page after it holds only copies
        return self._free(victim, blank[0])

    def _activate(self, page):
        page.seq = max(each.seq for each in self._pages) + 1
        self._header(page, _ACTIVE)
        return page

    def _free(self, victim, blank):
        fresh = self._activate(blank)
        for place, raw in self._items(victim):
            blob = self._read(victim, place + 1, raw[2] - 1) if raw[2] > 1 else b""
            self._write(_item(raw), raw[24:], blob, fresh)
        self._erase_page(victim)
        return fresh

    # --- start

    def _load(self):
        for page in self._pages:
            head = bytearray(64)
            self._nor.readblocks(page.number, head)
            state, page.seq = struct.unpack("<II", head[:8])
            is_whole = _crc(head[4:28]) == struct.unpack("<I", head[28:32])[0]
            if is_whole and state in (_ACTIVE, _FULL, _FREEING):
                page.state = state
                page.bits[:] = head[32:]
                continue
            page.seq = 0
            buf = bytearray(_PAGE)
            self._nor.readblocks(page.number, buf)
            if buf != b"\xff" * _PAGE:  # an erase or a first header that was cut
                self._erase_page(page)
        pages = sorted((page for page in self._pages if page.state), key=lambda page: page.seq)
        freeing = [page for page in pages if page.state == _FREEING]
        if freeing and len(pages) == len(self._pages):  # cut while it copied: once more from the beginning
            self._erase_page(pages.pop())
        for page in pages:
            self._scan(page)
        for page in pages[:-1]:
            if page.state == _ACTIVE:
                self._header(page, _FULL)
        self._drop_orphans()
        for page in freeing:
            self._free(page, [each for each in self._pages if each.state is None][0])

    def _scan(self, page):
        place = 0
        while place < _ENTRIES:
            state = page.entry(place)
            raw = self._read(page, place, 1)
            if state == _EMPTY:
                if raw != b"\xff" * _ENTRY:  # a write that was cut before its mark
                    self._mark(page, place, 1, _ERASED)
                    page.used = place + 1
                place += 1
                continue
            page.used = place + 1
            if state != _WRITTEN:
                if state != _ERASED:  # half a mark
                    self._mark(page, place, 1, _ERASED)
                place += 1
                continue
            span = raw[2]
            is_whole = _crc(raw[:4] + raw[8:]) == struct.unpack("<I", raw[4:8])[0] and 0 < span <= _ENTRIES - place
            if is_whole:
                is_whole = all(page.entry(place + each) == _WRITTEN for each in range(1, span))
            if not is_whole:
                self._mark(page, place, 1, _ERASED)
                place += 1
                continue
            page.used = place + span
            item = _item(raw)
            old = self._find(item)
            self._heads[page.number * _ENTRIES + place] = _hash(item)
            if old is not None:  # a change that was cut before the old one was marked
                self._mark(old[0], old[1], old[2], _ERASED)
            place += span

    def _drop_orphans(self):
        for page in self._pages:
            for place, raw in self._items(page):
                number, kind, chunk, named = _item(raw)
                if kind == _DATA:
                    index = self._find((number, _INDEX, _ANY, named))
                    if index is None or self._entry(index)[29] != chunk:
                        self._mark(page, place, raw[2], _ERASED)
