"""The name that the lock advertises: its own, from its address, or one that its administrator gave it (0x4e)."""

CLASS = "name"


class Name:
    """`text` is "" as long as nobody has given a name; kept in the vault, so that a reset takes it along."""

    def __init__(self, vault):
        self._vault = vault
        self.reload()

    def reload(self):
        """Take the state from the vault (start, roll-back, reset)."""
        packed = self._vault.load(CLASS)
        self.text = packed.decode() if packed else ""

    def set(self, text):
        """Durable on return."""
        if text != self.text:
            self._vault.save(CLASS, text.encode())
            self.text = text
