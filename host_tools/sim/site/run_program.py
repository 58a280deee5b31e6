"""`gatehouse sim run`: a bleak program, unchanged, on the simulated air.

Owns the program's environment and its end; the air is that of a running site, or of one that is started for it. How the
program's bleak finds it: `inject/sitecustomize.py`.
"""

import asyncio
import json
import os
import shutil
import signal
import sys
import sysconfig
from pathlib import Path

from host_tools.errors import HostError
from host_tools.sim.ble.bleak_air import ENVIRONMENT
from host_tools.sim.site import owner
from host_tools.sim.site.run import told
from host_tools.sim.site.site import Site
from host_tools.sim.site.site_plan import SiteSpec

_ROOT = Path(__file__).resolve().parent.parent.parent.parent
_INJECT = _ROOT / "host_tools" / "sim" / "inject"


def environment(air: str) -> dict[str, str]:
    """This process's environment, changed so that bleak programs use `air` (a Bumble transport)."""
    path = [str(_INJECT), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {
        **os.environ,
        ENVIRONMENT: air,
        "PYTHONPATH": os.pathsep.join(path),
        "GATEHOUSE_ROOT": str(_ROOT),
        "GATEHOUSE_PACKAGES": sysconfig.get_paths()["purelib"],
    }


def command(program: list[str]) -> list[str]:
    """How to start it: a Python script by our Python, `-m MODULE` too, anything else as it is. Raises HostError."""
    name = program[0]
    if name == "-m" or (name.endswith(".py") and Path(name).is_file()):
        return [sys.executable, *program]
    beside = Path(sys.executable).parent / name  # a console script of this environment
    found = str(beside) if os.sep not in name and beside.is_file() else shutil.which(name)
    if found is None:
        raise HostError("bad_request", "there is no program %s" % name, "give a .py file, -m MODULE, or a command")
    return [found, *program[1:]]


def run_program(program: list[str], air: str | None, spec: SiteSpec | None, paired: bool) -> int:
    """Run it; returns its exit status, 128 + N after signal N. Without `air` a site is started: `spec`, else a lock.

    With a site of its own the program finds its facts in GATEHOUSE_SITE (JSON, as `gatehouse sim up --json` prints
    them), and the owner's keys in GATEHOUSE_KEYS.
    """
    words = command(program)
    if air:
        return asyncio.run(_run(words, environment("127.0.0.1:" + air if air.isdigit() else air)))
    with told():
        return asyncio.run(_with_site(words, spec or SiteSpec(gateways=0, locks=1), paired))


async def _with_site(words: list[str], spec: SiteSpec, paired: bool) -> int:
    async with Site(spec) as site:
        await asyncio.gather(*(lock.wait_line("lock started") for lock in site.locks))
        if paired:
            await owner.adopt_all(site)
        site.start_events()
        facts = site.describe()
        env = environment(site.air) | {"GATEHOUSE_SITE": json.dumps(facts), "GATEHOUSE_KEYS": facts["keybook"]}
        return await _run(words, env)


async def _run(words: list[str], env: dict[str, str]) -> int:
    program = await asyncio.create_subprocess_exec(*words, env=env)
    loop = asyncio.get_running_loop()

    def hand_on(number: int) -> None:
        if program.returncode is None:
            program.send_signal(number)

    loop.add_signal_handler(signal.SIGTERM, hand_on, signal.SIGTERM)
    loop.add_signal_handler(signal.SIGINT, lambda: None)  # the terminal sends it to the program, too
    status = await program.wait()
    return status if status >= 0 else 128 - status
