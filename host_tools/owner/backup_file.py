"""The file of a backup: rows of JSON, compressed, in pieces; under a passphrase as the key book is, by scrypt and
AES-GCM.

Owns the form, and that a file which was cut, put together anew or written for something else is refused before a row of
it is used. What the rows mean is for others. A reader takes a bounded amount of memory, whatever the file claims.
"""

import hashlib
import json
import os
import struct
import zlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from host_tools import json_text
from host_tools.errors import HostError
from host_tools.owner import keybook

_MARK = "gatehouse_backup"
_VERSION = 1
_PIECE = ">IB"  # bytes, 1 for the last
_ROWS = 500  # in a piece
_MAX_PIECE = 32 << 20
_MAX_HEAD = 1024
_TODO = "is it a backup, and whole?"


def write(path: Path, rows: Iterable[dict], phrase: str | None) -> int:
    """A new file that only its owner can read, whole or not at all -> how many rows. None: in clear. HostError."""
    head: dict = {_MARK: _VERSION}
    key = None
    if phrase is not None:
        salt = os.urandom(16)
        head |= {**keybook.SCRYPT, "kdf": "scrypt", "salt": salt.hex()}
        key = keybook.derive(phrase, salt, keybook.SCRYPT)
    line = json.dumps(head).encode() + b"\n"
    count = 0
    part = path.with_name(path.name + ".new")
    try:
        part.unlink(missing_ok=True)
        with open(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(line)
            number = 0
            piece: list[dict] = []
            for row in rows:
                count += 1
                piece.append(row)
                if len(piece) == _ROWS:
                    file.write(_sealed(piece, key, line, number, False))
                    number += 1
                    piece = []
            file.write(_sealed(piece, key, line, number, True))
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
    except OSError as error:
        raise HostError("io", "cannot write %s: %s" % (path, error.strerror))
    finally:
        part.unlink(missing_ok=True)
    return count


def read(path: Path, passphrase: Callable[[], str]) -> Iterator[dict]:
    """The rows. HostError `auth` for a wrong passphrase, `bad_request` for what is no backup, or not whole: before the
    first row, for all of the file is looked at."""
    try:
        with open(path, "rb") as file:
            line = file.readline(_MAX_HEAD)
            key = _key(line, passphrase)
            start = file.tell()
            for _ in _pieces(file, key, line):
                pass
            file.seek(start)
            for piece in _pieces(file, key, line):
                yield from _rows(piece)
    except OSError as error:
        raise HostError("io", "cannot read %s: %s" % (path, error.strerror))


def _key(line: bytes, passphrase: Callable[[], str]) -> bytes | None:
    try:
        head = json_text.loads(line, _MAX_HEAD)
        if head[_MARK] != _VERSION:
            raise ValueError
        if "kdf" not in head:
            return None
        salt = bytes.fromhex(head["salt"])
        costs = keybook.costs_of(head)
    except (ValueError, KeyError, TypeError):
        raise HostError("bad_request", "that is no backup", _TODO)
    return keybook.derive(passphrase(), salt, costs)


def _bound(line: bytes, number: int, is_last: bool) -> bytes:
    """What a piece is bound to: this file, its place, and whether more follow."""
    return hashlib.sha256(line).digest() + struct.pack(_PIECE, number, is_last)


def _sealed(rows: list[dict], key: bytes | None, line: bytes, number: int, is_last: bool) -> bytes:
    data = zlib.compress("\n".join(json.dumps(row, ensure_ascii=False) for row in rows).encode())
    if key is None:
        data = hashlib.sha256(_bound(line, number, is_last) + data).digest() + data
    else:  # the key is this file's alone, by its salt: a counter is a nonce
        data = AESGCM(key).encrypt(number.to_bytes(12, "big"), data, _bound(line, number, is_last))
    return struct.pack(_PIECE, len(data), is_last) + data


def _pieces(file, key: bytes | None, line: bytes) -> Iterator[bytes]:  # type: ignore[no-untyped-def]
    size = struct.calcsize(_PIECE)
    number, is_last = 0, False
    while not is_last:
        head = file.read(size)
        if len(head) != size:
            raise HostError("bad_request", "the backup is cut off", _TODO)
        length, last = struct.unpack(_PIECE, head)
        is_last = bool(last)
        data = file.read(length) if length <= _MAX_PIECE else b""
        if len(data) != length:
            raise HostError("bad_request", "the backup is cut off, or damaged", _TODO)
        bound = _bound(line, number, is_last)
        if key is not None:
            try:
                data = AESGCM(key).decrypt(number.to_bytes(12, "big"), data, bound)
            except InvalidTag:
                raise HostError("auth", "wrong passphrase for this backup, or it is damaged")
        elif hashlib.sha256(bound + data[32:]).digest() != data[:32]:
            raise HostError("bad_request", "the backup is damaged", _TODO)
        else:
            data = data[32:]
        unpacking = zlib.decompressobj()
        try:
            plain = unpacking.decompress(data, _MAX_PIECE)
        except zlib.error:
            raise HostError("bad_request", "the backup is damaged", _TODO)
        if unpacking.unconsumed_tail:
            raise HostError("bad_request", "the backup is damaged", _TODO)
        yield plain
        number += 1
    if file.read(1):
        raise HostError("bad_request", "something stands behind the backup", _TODO)


def _rows(piece: bytes) -> Iterator[dict]:
    for line in piece.split(b"\n") if piece else ():
        try:
            row = json_text.loads(line)
        except ValueError:
            row = None
        if not isinstance(row, dict):
            raise HostError("bad_request", "the backup is damaged", _TODO)
        yield row
