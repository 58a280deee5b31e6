"""The newest `ttlock-ble`, in an environment of its own, operates our lock: its operations and the administrator's."""

import asyncio
import json
import sys
from pathlib import Path

import pytest

from host_tools.boards import fetch_client
from host_tools.owner import bundles
from tests.system.bench import Bench

GATEHOUSE = str(Path(sys.executable).parent / "gatehouse")
PROGRAM = Path(__file__).parent / "reference_client.py"


@pytest.mark.skipif(not fetch_client.find(), reason="set-up found no Python 3.12 or newer for the newest ttlock-ble")
def test_newest_ttlock_ble_and_its_administrators_messages_operate_our_lock(tmp_path):
    async def story():
        async with Bench(tmp_path, gateways=0) as bench:
            entry = await bench.pair()
            await bench.until_linkless()
            path = tmp_path / "key.json"
            path.write_text(json.dumps(bundles.virtual_key(entry)))
            before = len(bench.lock.movements)
            command = [GATEHOUSE, "sim", "run", "--air", bench.site.air, "--", str(fetch_client.find()), str(PROGRAM)]
            process = await asyncio.create_subprocess_exec(
                *command, str(path), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
            )
            out, errors = await process.communicate()
            assert process.returncode == 0, errors.decode()
            told = dict(json.loads(line) for line in out.decode().splitlines())
            assert {name: told[name] for name in ("unlock", "lock", "auto_lock")} == {
                "unlock": None,
                "lock": None,
                "auto_lock": 5,
            }
            assert told["add_without_login"] == "TTLockError"  # it does not log in, and the lock says so
            assert {1, 26} <= set(told["log"])
            names = ("check_admin", "check_random", "add", "add_other", "delete", "set_auto_lock", "set_time", "clear")
            assert {name: told[name] for name in (*names, "add_again")} == dict.fromkeys((*names, "add_again"), 1)
            assert bench.moves(since=before) == [("locked", "unlocked"), ("unlocked", "locked")]
            assert (await bench.lock.panel({"do": "state"}))["autolock_s"] == 60
            assert not await bench.opens({"do": "keys", "digits": "135790#"})
            assert await bench.opens({"do": "keys", "digits": "246801#"})

    asyncio.run(story())
