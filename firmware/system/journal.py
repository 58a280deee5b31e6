"""Append-only records on flash. Owns one folder.

Numbers rise by one. Damaged bytes lose the records they belong to (`journal_frame`).

Where a record goes: littlefs, as MicroPython mounts it, keeps a file of up to 128 bytes inside its folder, so that
writing it anew is one commit and erases no block, whereas appending to a longer one copies that file's last block into
a freshly erased one. New records therefore gather in eight small files, `tail.0` to `tail.7`; when these are full, all
of them are appended to a segment, a file named after its first number, at the price of one block. Older records
that a small file still holds are stale, which their numbers show, and are overwritten later. Space is given back by
segments.

Durability (security.md 4.3): the close of a file is one littlefs commit, which has its own checksum and is there or not
there, so a second program operation for the commit byte would add wear and nothing else (rule 1); the byte and the
checksum tell torn records on other volumes. Segments are read back before the small files may be overwritten (rule 3).
"""

import os
import struct

from firmware.lib.compat import const
from firmware.system import journal_frame
from firmware.system.store import exists, make_folder

_SUFFIX = ".seg"
_TAIL = "tail."
_SLOTS = const(8)
_SMALL = const(128)
_NO_SPACE = const(28)
_ROW = "<IIIHBB"  # of what is kept of a file: first, next, size, count, slot, is_full
_ROW_LEN = const(16)
_SEGMENT = const(0xFF)  # in place of a slot


class _File:
    """A segment (`slot` None) or a small file; `next` is behind its last number."""

    def __init__(self, first, slot=None):
        self.first = first
        self.next = first
        self.slot = slot
        self.count = 0
        self.size = 0
        self.is_full = False  # nothing is appended any more: it is complete, or has damaged bytes


class Journal:
    """Records of bytes under `path`, at most `keep_segments` segments of at least `segment_records` records each.

    `torn` counts the files with damaged bytes found when it was opened. With `packed`, of an object that was the last
    to write here, the files need not be read to open it.
    """

    def __init__(self, path, segment_records=64, keep_segments=8, first_seq=1, packed=None):
        self._path = path
        self._segment_records = segment_records
        self._keep = keep_segments
        self._files = []  # segments, then the small files in use, both in order of their numbers
        self._at = None  # (file, number, offset) just behind the record read last
        self.torn = 0
        if packed is None:
            self._open(first_seq)
            return
        for at in range(0, len(packed), _ROW_LEN):
            first, following, size, count, slot, is_full = struct.unpack_from(_ROW, packed, at)
            file = _File(first, None if slot == _SEGMENT else slot)
            file.next, file.size, file.count, file.is_full = following, size, count, bool(is_full)
            self._files.append(file)

    def pack(self):
        """What an object that is made later must know of the files, as bytes; this one must write no more then."""
        rows = bytearray(len(self._files) * _ROW_LEN)
        for place, file in enumerate(self._files):
            slot = _SEGMENT if file.slot is None else file.slot
            row = file.first, file.next, file.size, file.count, slot, file.is_full
            struct.pack_into(_ROW, rows, place * _ROW_LEN, *row)
        return bytes(rows)

    @property
    def first_seq(self):
        """The oldest number kept; equals `next_seq` when there is none."""
        return self._files[0].first

    @property
    def next_seq(self):
        """The number the next record will get."""
        return self._files[-1].next

    def __len__(self):
        return self.next_seq - self.first_seq

    def append(self, *parts):
        """Store a payload, given in parts (at most 1024 bytes in all), durably and return its number. Drops the oldest
        segment when all are full, or when the flash is. Raises OSError when the flash refuses all the same.
        """
        seq = self.next_seq
        raw = journal_frame.encode(seq, *parts)
        try:
            self._append(seq, raw)
        except OSError as err:
            if err.args[0] != _NO_SPACE or self._segments() < 2:
                raise
            self._drop_oldest()
            self._append(seq, raw)
        return seq

    def get(self, seq):
        """The record numbered `seq`, or None when it is not kept. Reading in order needs no search."""
        for found, payload in self.records(seq):
            return payload if found == seq else None
        return None

    def records(self, from_seq=0):
        """Generator of (number, payload) from `from_seq` on. Numbers that flash damage took are skipped."""
        seq = from_seq
        while True:
            file = self._file_from(seq)  # looked up each time: the caller may trim while it reads
            if file is None:
                return
            found = self._read(file, seq)
            if found is None:  # damaged since it was written
                seq = file.next
                continue
            yield found
            seq = found[0] + 1

    def begin_segment(self):
        """What is appended from now on shares no file with what is there -> the number that it will have first.
        `trim_below` that number then drops all of before."""
        start = self.next_seq
        if self._segments() < len(self._files):
            self._settle(start)
        if self._files[-1].first < start:
            self._start_at(start, len(self._files))
        for slot in range(_SLOTS):  # they hold what a segment has, too
            self._remove(_TAIL + "%d" % slot)
        return start

    def trim_below(self, seq):
        """Drop whole segments that hold only numbers below `seq`; the newest segment stays, it keeps the numbering."""
        while self._segments() > 1 and self._files[1].first <= seq:
            self._drop_oldest()

    def clear(self, next_seq=None):
        """Drop everything; numbering goes on, or starts at `next_seq`."""
        start = self.next_seq if next_seq is None else next_seq
        old = self._files
        is_ahead = start > old[-1].first
        self._files = []
        self._at = None
        if is_ahead:  # the new file first: a power cut in between must not repeat numbers
            self._start_at(start)
        for slot in range(_SLOTS):
            self._remove(_TAIL + "%d" % slot)
        for file in old:
            if file.slot is None:
                self._remove("%08x%s" % (file.first, _SUFFIX))
        if not is_ahead:
            self._start_at(start)

    # --- writing

    def _append(self, seq, raw):
        last = self._files[-1]
        if len(raw) > _SMALL:
            self._settle(seq, raw)
            return
        if last.slot is not None and not last.is_full and last.size + len(raw) <= _SMALL:
            self._write(last, "ab", raw, seq + 1, 1)
            return
        if self._segments() + _SLOTS == len(self._files):
            self._settle(seq)
        used = [file.slot for file in self._files]
        small = _File(seq, min(slot for slot in range(_SLOTS) if slot not in used))
        self._write(small, "wb", raw, seq + 1, 1)
        self._files.append(small)

    def _settle(self, seq, raw=b""):
        """Move what the small files hold to the newest segment, or to a new one, and `raw`, numbered `seq`, too."""
        count = self._segments()
        smalls = self._files[count:]
        target = self._files[count - 1] if count else None
        if target is None or target.is_full or target.count >= self._segment_records:
            target = _File(smalls[0].first if smalls else seq)
        parts = [self._content(small)[: small.size] for small in smalls]
        parts.append(raw)
        records = sum([small.count for small in smalls]) + (1 if raw else 0)
        before = target.size
        self._write(target, "ab", b"".join(parts), seq + 1 if raw else seq, records)
        if not self._reads_back(target, before, records):
            target.is_full = True
            raise OSError("journal: segment %08x does not read back" % target.first)
        self._at = None
        self._files = self._files[:count]
        if target not in self._files:
            self._files.append(target)
        while self._segments() > self._keep:
            self._drop_oldest()

    def _write(self, file, mode, raw, next_seq, records):
        """Add `raw` to a file in one commit."""
        try:
            with open(self._name(file), mode) as out:
                out.write(raw)
        except OSError:
            file.is_full = True  # on some volumes a part of it stays behind
            raise
        file.size += len(raw)
        file.next = next_seq
        file.count += records

    def _reads_back(self, file, offset, records):
        with open(self._name(file), "rb") as stream:
            stream.seek(offset)
            for _ in range(records):
                found = journal_frame.following(stream)
                if found is None or found[2] != offset:
                    return False
                offset = stream.tell()
        return True

    def _name(self, file):
        if file.slot is None:
            return "%s/%08x%s" % (self._path, file.first, _SUFFIX)
        return "%s/%s%d" % (self._path, _TAIL, file.slot)

    def _start_at(self, seq, place=0):
        file = _File(seq)
        with open(self._name(file), "ab"):
            pass
        self._files.insert(place, file)

    def _remove(self, name):
        if exists(self._path + "/" + name):
            os.remove(self._path + "/" + name)

    def _segments(self):
        """How many files are segments."""
        count = len(self._files)
        while count and self._files[count - 1].slot is not None:
            count -= 1
        return count

    def _drop_oldest(self):
        file = self._files.pop(0)
        self._at = None
        self._remove("%08x%s" % (file.first, _SUFFIX))

    # --- reading

    def _open(self, first_seq):
        make_folder(self._path)
        segments = []
        smalls = []
        for name in os.listdir(self._path):
            file = None
            if len(name) == 8 + len(_SUFFIX) and name.endswith(_SUFFIX):
                try:
                    file = _File(int(name[:8], 16))
                    segments.append(file)
                except ValueError:
                    continue
            elif len(name) == len(_TAIL) + 1 and name.startswith(_TAIL) and "0" <= name[-1] < "%d" % _SLOTS:
                file = _File(0, int(name[-1]))
                smalls.append(file)
            if file is not None:
                self._scan(file)
        segments.sort(key=lambda file: file.first)
        smalls.sort(key=lambda file: file.first)
        self._files = segments
        seq = segments[-1].next if segments else 0
        for small in smalls:
            if small.next > seq and small.count:
                self._files.append(small)
                seq = small.next
        if not self._files:
            self._start_at(first_seq)
        while self._segments() > self._keep:
            self._drop_oldest()

    def _scan(self, file):
        """Find out what a file holds, and whether some of it is damaged."""
        end = 0
        with open(self._name(file), "rb") as stream:
            while True:
                found = journal_frame.following(stream)
                if found is None:
                    break
                if not file.count and file.slot is not None:
                    file.first = found[0]
                if found[2] != end:
                    file.is_full = True
                end = stream.tell()
                file.count += 1
                file.next = max(file.next, found[0] + 1)
            file.size = stream.seek(0, 2)
        if file.size != end:
            file.is_full = True
        if file.is_full:
            self.torn += 1

    def _content(self, file):
        with open(self._name(file), "rb") as stream:
            return stream.read()

    def _file_from(self, seq):
        """The oldest file with a record numbered `seq` or later."""
        for file in self._files:
            if seq < file.next:
                return file
        return None

    def _read(self, file, seq):
        """(number, payload) of the first record of a file numbered `seq` or later, or None."""
        offset = 0
        if self._at and self._at[0] is file and self._at[1] <= seq:
            offset = self._at[2]
        with open(self._name(file), "rb") as stream:
            stream.seek(offset)
            while True:
                found = journal_frame.following(stream)
                if found is None or found[0] >= file.next:
                    self._at = None
                    return None
                if found[0] >= seq:
                    self._at = (file, found[0] + 1, stream.tell())
                    return found[0], found[1]
