"""How much is kept of what anybody may publish: gateways, and locks that they speak of, up to a number; those of the
key book always.

Owns the count. What one message may be is `payloads`' to say.
"""

from collections.abc import Callable


class Room:
    """For so many strangers. `is_ours(key)` is asked only once there is no room left: a crowd keeps nobody out."""

    def __init__(self, most: int, is_ours: Callable[[str], bool] = lambda key: False) -> None:
        self._most = most
        self._is_ours = is_ours
        self._strangers: set[str] = set()

    def has(self, key: str) -> bool:
        """Whether what is said of `key` may be kept."""
        if key in self._strangers:
            return True
        if len(self._strangers) < self._most:
            self._strangers.add(key)
            return True
        return self._is_ours(key)
