"""`gatehouse sim run`: programs that know nothing of the simulator, on its air."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path

from host_tools.sim.site.site import Site, SiteSpec

GATEHOUSE = str(Path(sys.executable).parent / "gatehouse")
SCANNER = """
import asyncio, sys
from bleak import BleakClient, BleakScanner

async def main():
    device = await BleakScanner.find_device_by_filter(lambda device, advert: True, timeout=60)
    async with BleakClient(device) as client:
        print("found", device.address, "1910" in " ".join(each.uuid for each in client.services), sys.argv[1:])
    sys.exit(int(sys.argv[1]))

asyncio.run(main())
"""


def run(*arguments: str, **env: str) -> subprocess.CompletedProcess:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("GATEHOUSE_AIR")}
    return subprocess.run(
        [GATEHOUSE, "sim", "run", *arguments], capture_output=True, text=True, env=clean | env, timeout=300, check=False
    )


def test_an_unmodified_bleak_script_runs_on_a_site_started_for_it_or_running(tmp_path):
    script = tmp_path / "scanner.py"
    script.write_text(SCANNER)
    site_file = tmp_path / "site.toml"
    site_file.write_text('profile = "ideal"\nseed = 1\n[[locks]]\nname = "Cellar"\n')
    done = run("--site", str(site_file), "--", str(script), "7", "--air", "x")
    assert (done.returncode, done.stdout.split()[0]) == (7, "found"), done.stdout + done.stderr
    assert done.stdout.rstrip().endswith("True ['7', '--air', 'x']")

    async def beside_a_site():
        async with Site(SiteSpec(gateways=0, locks=1, profile="ideal", seed=2)) as site:
            lock = site.locks[0]
            await lock.wait_line("lock started")
            for air in (("--air", site.air), ("--air", site.air.rpartition(":")[2])):
                done = await asyncio.to_thread(run, *air, "--", sys.executable, str(script), "0")
                assert done.returncode == 0 and done.stdout.startswith("found " + lock.mac.upper()), done.stderr
            done = await asyncio.to_thread(run, "--", str(script), "3", GATEHOUSE_AIR=site.air)
            assert done.returncode == 3 and lock.mac.upper() in done.stdout, done.stderr

    asyncio.run(beside_a_site())


def test_exit_status_and_signals_are_the_programs_and_its_own_start_up_code_still_runs(tmp_path):
    (tmp_path / "sitecustomize.py").write_text("print('own start-up code')\n")
    air = ("--air", "1")  # nobody is there, and nobody is asked
    own = "own start-up code\n" * 2  # of gatehouse, and of the program
    for code, status, said in (
        ("print(1)", 0, "1\n"),
        ("import sys; sys.exit(5)", 5, ""),
        ("raise ValueError", 1, ""),
        ("import os; os.kill(os.getpid(), 15)", 143, ""),
    ):
        done = run(*air, "--", sys.executable, "-c", code, PYTHONPATH=str(tmp_path))
        assert (done.returncode, done.stdout) == (status, own + said), done.stderr
    done = run(*air, "--", "no-such-program-at-all")
    assert done.returncode != 0 and "no-such-program-at-all" in done.stderr
    done = run(*air, "--", "-m", "json.tool", "--help")
    assert done.returncode == 0, done.stderr
