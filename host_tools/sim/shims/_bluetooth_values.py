# The values of a board's characteristics and descriptors, as extmod/modbluetooth.c of MicroPython keeps them: the
# board's memory holds them, peers read and write them. Part of the `bluetooth` shim.
_ENODEV = 19
_EINVAL = 22
_ROOM = 20  # initial room of a value, until gatts_set_buffer or a longer local write


class Value:
    __slots__ = ("buf", "room", "is_append")

    def __init__(self):
        self.buf = b""
        self.room = _ROOM
        self.is_append = False

    def remote_write(self, part):
        # what does not fit is cut off without an error
        if self.is_append:
            self.buf += bytes(part[: max(0, self.room - len(self.buf))])
        else:
            self.buf = bytes(part[: self.room])


class Values:
    def __init__(self):
        self._held = {}  # value handle -> Value

    def create(self, handles):
        self._held = {}
        for service in handles:
            for handle in service:
                self._held[handle] = Value()

    def find(self, handle):
        return self._held.get(handle)

    def _demand(self, handle):
        value = self._held.get(handle)
        if value is None:
            raise OSError(_EINVAL)
        return value

    def read(self, handle):
        # of an unknown handle: nothing, since gatts_read looks at no error
        value = self._held.get(handle)
        if value is None:
            return b""
        whole = value.buf
        if value.is_append:
            value.buf = b""
        return whole

    def write(self, handle, whole):
        value = self._demand(handle)
        value.buf = whole
        value.room = max(value.room, len(whole))

    def set_buffer(self, handle, room, is_append):
        value = self._demand(handle)
        value.buf = b""
        value.room = room
        value.is_append = is_append
