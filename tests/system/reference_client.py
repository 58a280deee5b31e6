"""Drives a lock with `ttlock-ble`, for a test: runs in the environment that set-up made for its newest release.

    gatehouse sim run --air AIR -- PYTHON reference_client.py KEY_FILE

One line of JSON per operation: its name, and what came or the class of the error. The client's own operations come
first; then the administrator's, on a link that has logged in as one, of the client's own messages, frames and cipher:
the client has them, and no operation that logs in.
"""

import asyncio
import json
import sys
from pathlib import Path

from bleak import BleakClient, BleakScanner
from ttlock_ble import TTLockClient, TTLockError, VirtualKey, crypto
from ttlock_ble.commands import auto_lock, clock, envelope, passcode, session
from ttlock_ble.protocol.frame import Frame
from ttlock_ble.protocol.reassembler import FrameReassembler

_ANSWERS = "0000fff4-0000-1000-8000-00805f9b34fb"
_COMMANDS = "0000fff2-0000-1000-8000-00805f9b34fb"
_CHUNK = 20
_ANSWER_S = 20
CODE, OTHER = "135790", "246801"


def tell(name, value):
    print(json.dumps([name, value]), flush=True)


async def try_each(operations):
    for name, operation in operations:
        try:
            value = await operation()
        except TTLockError as err:
            tell(name, type(err).__name__)
            continue
        tell(name, value if isinstance(value, (int, type(None))) else str(value))


async def own_operations(key):
    client = TTLockClient(key, keep_alive_after_command=0)
    await client.connect()
    try:
        await try_each(
            (
                ("unlock", client.unlock),
                ("lock", client.lock),
                ("auto_lock", client.get_auto_lock_time),
                ("time", client.get_lock_time),
                ("add_without_login", lambda: client.add_passcode(CODE)),
            )
        )
        entries = await client.get_operation_log()
        tell("log", sorted({int(entry.record_type) for entry in entries}))
    finally:
        await client.disconnect()


class Admin:
    """One link, logged in as the administrator."""

    def __init__(self, link, key):
        self._link = link
        self._key = key
        self._aes = crypto.hex_key_to_bytes(key.aesKeyStr)
        self._answers = asyncio.Queue()
        self._reassembler = FrameReassembler()

    def heard(self, _, part):
        for frame in self._reassembler.feed(bytes(part)):
            self._answers.put_nowait(crypto.aes_decrypt(frame.data, self._aes))

    async def ask(self, command, body):
        version = self._key.lockVersion
        plain = Frame(
            version.protocolType,
            version.protocolVersion,
            version.scene,
            version.groupId,
            version.orgId,
            command,
            0,
            body,
        )
        raw = plain.encrypt_data(self._aes).build()
        raw += b"" if raw.endswith(b"\r\n") else b"\r\n"
        for at in range(0, len(raw), _CHUNK):
            await self._link.write_gatt_char(_COMMANDS, raw[at : at + _CHUNK], response=True)
        while True:
            answer = await asyncio.wait_for(self._answers.get(), _ANSWER_S)
            echo, status, data = envelope.parse_response_status(answer)
            if echo == command:
                return answer, status, data

    async def log_in(self):
        key = self._key
        answer, status, _ = await self.ask(0x41, session.payload_check_admin(key.uid, key.adminPs, key.lockFlagPos))
        tell("check_admin", status)
        challenge = session.parse_check_user_time_response(answer)
        _, status, _ = await self.ask(0x30, session.payload_check_random(challenge, key.unlockKey))
        tell("check_random", status)


async def admin_operations(key):
    device = await BleakScanner.find_device_by_address(key.lockMac, timeout=60)
    async with BleakClient(device) as link:
        admin = Admin(link, key)
        await link.start_notify(_ANSWERS, admin.heard)
        await admin.log_in()
        for name, command, body in (
            ("add", 0x03, passcode.payload_passcode_add(1, CODE)),
            ("add_other", 0x03, passcode.payload_passcode_add(1, OTHER)),
            ("delete", 0x03, passcode.payload_passcode_delete(1, CODE)),
            ("set_auto_lock", 0x36, auto_lock.payload_auto_lock_set(60)),
            ("set_time", 0x43, clock.payload_time_calibrate()),
            ("clear", 0x03, passcode.payload_passcode_clear()),
            ("add_again", 0x03, passcode.payload_passcode_add(1, OTHER)),
        ):
            _, status, _ = await admin.ask(command, body)
            tell(name, status)


async def main():
    key = VirtualKey.from_dict(json.loads(Path(sys.argv[1]).read_text()))
    await own_operations(key)
    await admin_operations(key)


asyncio.run(main())
