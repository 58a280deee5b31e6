"""The challenges that locks let us answer lately, so that none is answered twice (security.md 2.1, CVE-2023-7004).

Who answers a challenge tells its chooser `unlockKey`. A lock draws a fresh number each time; a peer that shows an
impossible or a used one is somebody else. Owns the list, in memory or in a file of the owner's (mode 0600).
"""

import contextlib
import json
import os
from pathlib import Path

from firmware.lib.errors import ProtocolError

_KEPT = 64
_MAX_OWN = 0x7FFFFFFF  # what our own lock draws (security.md RND-1); others may use all 32 bits


class Challenges:
    """`path` None: as long as the program runs."""

    def __init__(self, path: Path | None = None) -> None:
        self._path = path
        self._seen: dict[str, list[int]] = {}
        if path is not None:
            with contextlib.suppress(OSError, ValueError, AttributeError, TypeError):  # a damaged list is no list
                kept = json.loads(path.read_text())
                self._seen = {mac: [int(each) for each in numbers] for mac, numbers in kept.items()}

    def check(self, mac: str, number: int, is_ours: bool) -> int:
        """The number, noted as used by this lock. Raises ProtocolError when the lock cannot have drawn it now."""
        seen = self._seen.setdefault(mac, [])
        if not 0 < number <= (_MAX_OWN if is_ours else 0xFFFFFFFF):
            raise ProtocolError("impossible challenge: somebody may pass for the lock")
        if number in seen:
            raise ProtocolError("repeated challenge: somebody may pass for the lock")
        seen.append(number)
        del seen[:-_KEPT]
        self._save()
        return number

    def _save(self) -> None:
        if self._path is None:
            return
        self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        temporary = self._path.with_name(self._path.name + ".new")
        handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "w") as file:
            json.dump(self._seen, file)
        os.replace(temporary, self._path)
