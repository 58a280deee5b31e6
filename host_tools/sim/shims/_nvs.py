# ESP-IDF's non-volatile storage on NOR flash: pages of 126 entries of 32 bytes, written one behind the other, erased
# only by a mark until their page is needed, in the layout of Espressif's "NVS Storage Library" documentation. What a
# dump of the chip would show is therefore what a dump of this store shows. Simplified: one chunk per blob, no
# encryption, and a choice of the page to free that counts what is live instead of what is erased.
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
        self.state = None  # None: blank
        self.seq = 0
        self.used = 0  # entries that take no more
        self.bits = bytearray(b"\xff" * 32)

    def entry(self, place):
        return self.bits[place >> 2] >> (place & 3) * 2 & 3

    def mark(self, place, state):
        self.bits[place >> 2] &= ~((state ^ 3) << (place & 3) * 2)


class Nvs:
    def __init__(self, nor):
        self._nor = nor
        self._pages = [_Page(number) for number in range(nor.blocks)]
        self._items = {}  # (namespace, type, chunk, key) -> (page, place, span)
        self._load()

    # --- what esp32.NVS offers

    def get(self, space, kind, key):
        # i32: a number; blob: bytes; None when there is none
        number = self._namespace(space, False)
        if kind == "i":
            found = self._items.get((number, _I32, _ANY, key))
            return None if found is None else struct.unpack("<i", self._entry(found)[24:28])[0]
        found = self._items.get((number, _INDEX, _ANY, key))
        if found is None:
            return None
        size, _, chunk = struct.unpack("<IBB", self._entry(found)[24:30])
        found = self._items.get((number, _DATA, chunk, key))
        if found is None:
            return None
        page, place, span = found
        octets = self._read(page, place + 1, span - 1)[:size]
        return octets if _crc(octets) == struct.unpack("<I", self._entry(found)[28:32])[0] else None

    def set(self, space, kind, key, value):
        number = self._namespace(space, True)
        if kind == "i":
            if self.get(space, kind, key) != value:
                self._replace((number, _I32, _ANY, key), struct.pack("<i4s", value, b"\xff" * 4))
            return
        if self.get(space, kind, key) == value:
            return
        index = (number, _INDEX, _ANY, key)
        old = self._items.get(index)
        before = None if old is None else self._entry(old)[29]
        chunk = 0 if before == 0x80 else 0x80 if before == 0 else 0
        self._write((number, _DATA, chunk, key), struct.pack("<HHI", len(value), 0xFFFF, _crc(value)), value)
        self._replace(index, struct.pack("<IBBH", len(value), 1, chunk, 0xFFFF))
        if before is not None:
            self._erase((number, _DATA, before, key))

    def erase(self, space, kind, key):
        # True if there was one
        number = self._namespace(space, False)
        if kind == "i":
            return self._erase((number, _I32, _ANY, key))
        index = (number, _INDEX, _ANY, key)
        found = self._items.get(index)
        if found is None:
            return False
        chunk = self._entry(found)[29]
        self._erase(index)
        self._erase((number, _DATA, chunk, key))
        return True

    def _namespace(self, space, make):
        found = self._items.get((0, _U8, _ANY, space))
        if found is not None:
            return self._entry(found)[24]
        if not make:
            return None
        taken = [self._entry(self._items[name])[24] for name in self._items if name[:2] == (0, _U8)]
        number = max(taken, default=0) + 1
        self._write((0, _U8, _ANY, space), bytes((number,)) + b"\xff" * 7)
        return number

    # --- entries

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

    def _write(self, item, data, blob=b"", page=None):
        span = 1 + (len(blob) + _ENTRY - 1) // _ENTRY
        page = page or self._room(span)
        place = page.used
        number, kind, chunk, key = item
        head = bytes((number, kind, span, chunk))
        named = key.encode() + bytes(16 - len(key))
        page.used += span
        self._program(page, 64 + _ENTRY * place, head + struct.pack("<I", _crc(head + named + data)) + named + data)
        self._mark(page, place, 1, _WRITTEN)
        if blob:
            blob += b"\xff" * (-len(blob) % _ENTRY)
            self._program(page, 64 + _ENTRY * (place + 1), blob)
            self._mark(page, place + 1, span - 1, _WRITTEN)
        self._items[item] = (page, place, span)

    def _replace(self, item, data):
        old = self._items.get(item)
        self._write(item, data)
        if old is not None:
            self._mark(old[0], old[1], old[2], _ERASED)

    def _erase(self, item):
        found = self._items.pop(item, None)
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
        self._pages[page.number] = _Page(page.number)

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
        live = {}
        for page, _, count in self._items.values():
            live[page.number] = live.get(page.number, 0) + count
        victim = min((page for page in self._pages if page.state), key=lambda page: live.get(page.number, 0))
        if live.get(victim.number, 0) + span > _ENTRIES:
            raise OSError(NO_SPACE, "ESP_ERR_NVS_NOT_ENOUGH_SPACE")
        self._header(victim, _FREEING)  # from here until it is blank, the page after it holds only copies
        return self._free(victim, blank[0])

    def _activate(self, page):
        page.seq = max(each.seq for each in self._pages) + 1
        self._header(page, _ACTIVE)
        return page

    def _free(self, victim, blank):
        fresh = self._activate(blank)
        for item in sorted(self._items, key=lambda item: self._items[item][1]):
            page, place, span = self._items[item]
            if page is victim:
                blob = self._read(page, place + 1, span - 1) if span > 1 else b""
                self._write(item, self._entry((page, place, span))[24:], blob, fresh)
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
                page.bits = head[32:]
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
            item = (raw[0], raw[1], raw[3], raw[8:24].rstrip(b"\x00").decode())
            old = self._items.get(item)
            self._items[item] = (page, place, span)
            if old is not None:  # a change that was cut before the old one was marked
                self._mark(old[0], old[1], old[2], _ERASED)
            place += span

    def _drop_orphans(self):
        for item in list(self._items):
            if item[1] == _DATA:
                index = self._items.get((item[0], _INDEX, _ANY, item[3]))
                if index is None or self._entry(index)[29] != item[2]:
                    self._erase(item)
