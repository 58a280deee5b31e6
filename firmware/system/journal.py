"""Append-only records on flash, in segment files. Owns one folder.

A record on flash (little-endian): magic 0xA5, u16 length, u32 sequence number, payload, u32 CRC-32 over all before
it, commit byte 0x5A. What lacks the commit byte, or fails its checksum, ends the segment when the journal is opened,
and the next record begins a new file (security.md 4.3 rule 1). One `close` per record makes it durable: littlefs
commits there in one step, so syncing once more before the commit byte would double the wear and add nothing; on other
volumes the checksum finds a torn record. Numbers rise by one. A segment file is named after its first number. Space is
given back by segments.
"""

import binascii
import os
import struct

from firmware.lib.compat import const
from firmware.system.store import exists, make_folder

_MAGIC = const(0xA5)
_COMMIT = b"\x5a"
_HEAD = "<BHI"
_HEAD_LEN = const(7)
_TAIL_LEN = const(5)
_MAX_LEN = const(1024)
_SUFFIX = ".seg"


class _Segment:
    def __init__(self, first):
        self.first = first
        self.count = 0
        self.is_full = False  # takes no more: complete, or with a torn tail


class Journal:
    """Records of bytes under `path`, at most `keep_segments` files of `segment_records` records each."""

    def __init__(self, path, segment_records=64, keep_segments=8, first_seq=1):
        self._path = path
        self._segment_records = segment_records
        self._keep = keep_segments
        self._segments = []
        self._at = None  # (segment first, index, file offset) just behind the record read last
        self.torn = 0
        self._open(first_seq)

    @property
    def first_seq(self):
        """The oldest number kept; equals `next_seq` when there is none."""
        return self._segments[0].first

    @property
    def next_seq(self):
        """The number the next record will get."""
        last = self._segments[-1]
        return last.first + last.count

    def __len__(self):
        return self.next_seq - self.first_seq

    def append(self, payload):
        """Store `payload` (at most 1024 bytes) durably and return its number. Drops the oldest segment when full."""
        if len(payload) > _MAX_LEN:
            raise ValueError("journal record of %d bytes" % len(payload))
        last = self._segments[-1]
        if last.is_full or last.count >= self._segment_records:
            last = _Segment(self.next_seq)
            self._segments.append(last)
            while len(self._segments) > self._keep:
                self._drop_oldest()
        seq = last.first + last.count
        raw = struct.pack(_HEAD, _MAGIC, len(payload), seq) + bytes(payload)
        raw += struct.pack("<I", binascii.crc32(raw) & 0xFFFFFFFF) + _COMMIT
        try:
            with open(self._name(last.first), "ab") as file:
                file.write(raw)
        except OSError:
            last.is_full = True  # whatever was written stays behind as a torn tail
            raise
        last.count += 1
        return seq

    def get(self, seq):
        """The record numbered `seq`, or None when it is not kept. Reading in order needs no search."""
        for _seq, payload in self.records(seq):
            return payload if _seq == seq else None
        return None

    def records(self, from_seq=0):
        """Generator of (number, payload) from `from_seq` on. Numbers that flash damage took are skipped."""
        seq = from_seq
        while True:
            segment = self._segment_from(seq)  # looked up each time: the caller may trim while it reads
            if segment is None:
                return
            seq = max(seq, segment.first)
            payload = self._read(segment, seq - segment.first)
            if payload is None:  # damaged since it was written: the rest of this file cannot be trusted
                seq = segment.first + segment.count
                continue
            yield seq, payload
            seq += 1

    def trim_below(self, seq):
        """Drop whole segments that hold only numbers below `seq`; the newest file stays, it keeps the numbering."""
        while len(self._segments) > 1 and self._segments[1].first <= seq:
            self._drop_oldest()

    def clear(self, next_seq=None):
        """Drop everything; numbering goes on, or starts at `next_seq`."""
        start = self.next_seq if next_seq is None else next_seq
        if start > self._segments[-1].first:  # the new file first: a power cut in between must not repeat numbers
            self._start_at(start)
        while self._segments and (self._segments[0].first != start or self._segments[0].count):
            self._drop_oldest()
        if not self._segments:
            self._start_at(start)

    def _name(self, first):
        return "%s/%08x%s" % (self._path, first, _SUFFIX)

    def _start_at(self, seq):
        self._segments.append(_Segment(seq))
        with open(self._name(seq), "ab"):
            pass

    def _drop_oldest(self):
        segment = self._segments.pop(0)
        self._at = None
        if exists(self._name(segment.first)):
            os.remove(self._name(segment.first))

    def _open(self, first_seq):
        make_folder(self._path)
        firsts = []
        for name in os.listdir(self._path):
            if len(name) == 8 + len(_SUFFIX) and name.endswith(_SUFFIX):
                try:
                    firsts.append(int(name[:8], 16))
                except ValueError:
                    pass
        firsts.sort()
        for first in firsts:
            segment = _Segment(first)
            self._segments.append(segment)
            self._scan(segment)
        if not self._segments:
            self._start_at(first_seq)
        while len(self._segments) > self._keep:
            self._drop_oldest()

    def _scan(self, segment):
        """Count the valid records of a file and note whether it ends cleanly."""
        with open(self._name(segment.first), "rb") as file:
            while True:
                start = file.tell()
                if self._read_next(file, segment.first + segment.count) is None:
                    file.seek(start)
                    if file.read(1):
                        segment.is_full = True
                        self.torn += 1
                    return
                segment.count += 1

    def _read_next(self, file, seq):
        head = file.read(_HEAD_LEN)
        if len(head) < _HEAD_LEN:
            return None
        magic, length, number = struct.unpack(_HEAD, head)
        if magic != _MAGIC or number != seq or length > _MAX_LEN:
            return None
        body = file.read(length + _TAIL_LEN)
        if len(body) < length + _TAIL_LEN or body[-1:] != _COMMIT:
            return None
        if struct.unpack("<I", body[length : length + 4])[0] != binascii.crc32(head + body[:length]) & 0xFFFFFFFF:
            return None
        return body[:length]

    def _segment_from(self, seq):
        """The oldest segment with a record numbered `seq` or later."""
        for segment in self._segments:
            if seq < segment.first + segment.count:
                return segment
        return None

    def _read(self, segment, index):
        at = 0
        offset = 0
        if self._at and self._at[0] == segment.first and self._at[1] <= index:
            _, at, offset = self._at
        with open(self._name(segment.first), "rb") as file:
            file.seek(offset)
            while True:
                payload = self._read_next(file, segment.first + at)
                if payload is None or at == index:
                    break
                at += 1
            self._at = (segment.first, at + 1, file.tell()) if payload is not None else None
        return payload
