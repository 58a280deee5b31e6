"""`make demo` tells the truth: it ends well when the story happened, and says so when it did not."""

import os
import subprocess
import sys
from pathlib import Path

from host_tools.sim.site.broker import find_mosquitto

ROOT = Path(__file__).resolve().parent.parent.parent


def tell(*options: str, **env: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-m", "host_tools.demo", "--once", *options],
        cwd=ROOT,
        env=os.environ | env,
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )


def test_demo_ends_with_status_0_when_every_step_happened():
    told = tell()
    assert told.returncode == 0, told.stdout + told.stderr
    best = "mosquitto: TLS, a certificate for each client, access rules" if find_mosquitto() else "embedded broker: TLS"
    assert best in told.stdout


def test_demo_fails_and_says_so_when_the_bolt_is_jammed():
    told = tell("--broker", "iotcore", GATEHOUSE_DEMO_JAM="1")
    assert told.returncode != 0
    assert "jammed" in told.stdout + told.stderr
    assert "embedded broker: TLS, a login for each client" in told.stdout
    assert "Who has no identity at the broker is not let in" in told.stdout
