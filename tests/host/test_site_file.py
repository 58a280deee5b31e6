"""Site descriptions: what they say becomes a site, what is wrong in them is told with key and line."""

import asyncio
import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from host_tools.errors import HostError
from host_tools.sim.site import actions, site_file
from host_tools.sim.site.site import Site, SiteSpec
from host_tools.sim.site.timeline import Event

ROOT = Path(__file__).resolve().parent.parent.parent
EXAMPLE = ROOT / "host_tools/sim/site/example-site.toml"

WHOLE = """
profile = "bad"
seed = 3
paired = true
broker = "iotcore"
[gateway_settings]
keepalive_s = 9
[[gateways]]
name = "Hall"
at = [0, 1.5]
settings = { presence_s = 600 }
[[gateways]]
[[locks]]
at = [4.0, 5.0]
[[events]]
t = 1
every_s = 2
until_s = 6
do = "jam"
at = [1, 2]
[[events]]
t = 0.5
do = "keys"
lock = "front DOOR"
digits = "12#"
"""


def test_whole_description_becomes_a_spec() -> None:
    spec, paired = site_file.parse(WHOLE)
    assert paired and (spec.gateways, spec.locks, spec.profile, spec.seed) == (2, 1, "bad", 3)
    hall, other = spec.gateway(0, 1883, 123), spec.gateway(1, 1884, 123)
    assert (hall.name, other.name) == ("Hall", "Gateway 2")
    assert (hall.settings["keepalive_s"], hall.settings["presence_s"], hall.settings["mqtt_port"]) == (9, 600, 1883)
    assert "presence_s" not in other.settings
    assert spec.gateway_plan(0).at == (0.0, 1.5) and spec.gateway_plan(1).at is None
    assert spec.lock_plan(0).at == (4.0, 5.0) and spec.lock(0).name == "Front door"
    assert spec.events[0] == Event(1, {"do": "jam", "at": [1, 2]}, 2, 6)


def test_locks_of_other_makers_by_site_and_by_lock() -> None:
    every = 'profile = "real"\nvariants = ["bursts"]\n'
    one, two, three = "[[locks]]\n", '[[locks]]\nprofile = "own"\n', '[[locks]]\nvariants = ["constant-status"]\n'
    spec, _ = site_file.parse(every + one + two + three + "settings = { adv_asleep_ms = 2000 }\n")
    made = [spec.lock(index).settings for index in range(3)]
    told = [(each.get("manners"), each.get("adv_awake_ms"), each.get("adv_asleep_ms")) for each in made]
    assert told == [("real", 100, 100), (None, None, None), ("real_constant", 895, 2000)]
    radios = [spec.manners(index) for index in range(3)]
    assert radios[0] and radios[0].bursts and radios[1] is None and radios[2] and not radios[2].bursts

    spec, _ = site_file.parse('[[locks]]\n[[locks]]\nprofile = "real"\nvariants = ["lost-answers"]')
    assert [bool(spec.manners(index)) for index in range(2)] == [False, True]
    lossy = spec.manners(1)
    assert lossy and lossy.answer_loss == 0.1 and spec.lock(1).settings["manners"] == "real"
    assert "manners" not in spec.lock(0).settings


@pytest.mark.parametrize(
    "source, faults",
    [
        ('profil = "home"', ["site line 1: profil is no key here; there are: bolt_travel_s, broker"]),
        ('\nprofile = "windy"', ["line 2: profile must be one of ideal, home, bad"]),
        (
            'profile = "real"\nvariants = "bursts"',
            ["line 2: variants must be a list of any of bursts, constant-status"],
        ),
        ('[[locks]]\nprofile = "home"', ["line 2: locks[0].profile must be one of own, real"]),
        ('[[locks]]\nvariants = ["x"]', ["line 2: locks[0].variants must be a list of any of bursts, constant-status"]),
        ('[[gateways]]\nprofile = "real"', ["line 2: gateways[0].profile is no key here"]),
        ("seed = -1\npaired = 1", ["line 1: seed must be a whole number", "line 2: paired must be true or false"]),
        ("bolt_travel_s = 0", ["line 1: bolt_travel_s must lie between 0.02 and 2"]),
        ("a = 1\nb = ]", ["site is no TOML", "line 2"]),
        ('[[locks]]\n[[locks]]\nname = "A"\nplace = [1, 2]', ["line 4: locks[1].place is no key here"]),
        ("[[locks]]\nat = [1]", ["line 2: locks[0].at must be a place"]),
        ('[[locks]]\nname = "A"\n[[locks]]\nname = "a"', ["line 4: locks[1].name is taken"]),
        ('[gateways]\nname = "A"', ["line 1: gateways must be tables: [[gateways]]"]),
        ("[gateway_settings]\nx = 1\n[[events]]\nt = 1", ["line 3: events[0].do nothing called None; there are: "]),
        ('[[events]]\ndo = "lift"', ["line 1: events[0].t is missing"]),
        ('[[events]]\nt = -1\ndo = "lift"', ["line 2: events[0].t must not be negative"]),
        ('[[events]]\nt = 1\nevery_s = 0\ndo = "lift"', ["line 3: events[0].every_s must be more than 0"]),
        ('[[events]]\nt = 1\ndo = "dance"', ["line 3: events[0].do nothing called 'dance'"]),
        (
            '[[events]]\nt = 1\ndo = "leap"\nm = 3',
            ["line 1: events[0].s is missing from leap", "line 4: events[0].m is"],
        ),
        ('[[events]]\nt = 1\ndo = "broker"\nup = "yes"', ["line 4: events[0].up must be true or false"]),
        ('[[events]]\nt = 1\ndo = "touch"\nlock = "X"', ["line 4: events[0].lock names nobody: 'X'"]),
        ('[[locks]]\n[[events]]\nt = 1\ndo = "reset"\nboard = "X"', ["line 5: events[0].board names nobody: 'X'"]),
    ],
)
def test_faults_are_told_with_key_and_line(source: str, faults: list[str]) -> None:
    with pytest.raises(HostError) as told:
        site_file.parse(source)
    for each in faults:
        assert each in str(told.value)


def test_every_action_refuses_keys_that_it_does_not_know_and_names_those_it_misses() -> None:
    for name, action in actions.ACTIONS.items():
        faults = dict(actions.faults_of({"do": name, "nonsense": 1}))
        assert set(faults) == {"nonsense", *action.needs}


def test_every_action_is_described() -> None:
    described = (ROOT / "host_tools/sim/README.md").read_text()
    missing = [name for name in actions.ACTIONS if "`%s`" % name not in described]
    assert not missing


def test_events_happen_in_order_at_their_time_and_a_failure_stops_nothing(tmp_path) -> None:
    async def story() -> None:
        events = [
            Event(0.4, {"do": "ntp", "lie_s": 7.0}),
            Event(0.1, {"do": "leap", "s": 60}, every_s=0.1, until_s=0.35),
            Event(0.2, {"do": "kill", "board": "nobody"}),
        ]
        spec = SiteSpec(gateways=0, locks=0, profile="ideal", seed=1, events=events, folder=tmp_path)
        async with Site(spec) as site:
            told: list[str] = []
            began_s = time.monotonic()
            await site.start_events(told.append)
            assert time.monotonic() - began_s > 0.39
            assert site.leap_s == 180 and site.ntp.lie_s == 7.0
            assert told == site.timeline.failures and "t=0.2 kill: no board 'nobody'" in told[0]
            assert site.state()["events"] == {"done": 4, "failed": told, "waiting": 0}

    asyncio.run(story())


def test_example_runs_to_its_end_without_a_failure(tmp_path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "host_tools.cli", "sim", "up", str(EXAMPLE), "--json", "--profile", "ideal"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout
    try:
        facts = json.loads(process.stdout.readline())
        assert [lock["name"] for lock in facts["locks"]] == ["Front door", "Garage"]

        async def until_done() -> dict:
            host, _, port = facts["control"].rpartition(":")
            while True:
                reader, writer = await asyncio.open_connection(host, int(port))
                writer.write(b'{"do":"state"}\n')
                state = json.loads(await reader.readline())
                writer.close()
                if not state["events"]["waiting"]:
                    return state
                await asyncio.sleep(0.3)

        state = asyncio.run(asyncio.wait_for(until_done(), 60))
        spec, _ = site_file.load(EXAMPLE)
        assert state["events"]["failed"] == [] and state["events"]["done"] >= len(spec.events) - 1
        assert state["profile"] == "ideal"  # an option goes over the file
        assert {board["name"]: board["starts"] for board in state["boards"]}["Hall"] == 2
        assert not any(board["crashes"] for board in state["boards"])
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 0
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
