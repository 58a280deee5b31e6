"""`gatehouse sim up`: starts a site, says where everything is, and stays until it is told to end."""

import asyncio
import contextlib
import json
import signal
from collections.abc import Iterator
from dataclasses import replace

from host_tools.boards.stage import StageError
from host_tools.errors import HostError
from host_tools.sim.board.interpreter import SimError
from host_tools.sim.site import owner
from host_tools.sim.site.site import Site
from host_tools.sim.site.site_plan import SiteSpec


def run_site(json_out: bool = False, paired: bool = False, spec: SiteSpec | None = None, **options) -> None:
    """Start a site, say how to reach it, stay until SIGINT or SIGTERM. `options`: fields of SiteSpec, over `spec`.

    `paired`: pair the locks and hand their keys to the first gateway before the first line is printed.
    """
    with told():
        asyncio.run(_run(replace(spec or SiteSpec(), **options), json_out, paired))


@contextlib.contextmanager
def told() -> Iterator[None]:
    """What keeps a site from starting becomes a HostError."""
    try:
        yield
    except SimError as error:
        raise HostError(error.code, str(error))
    except StageError as error:
        raise HostError("config", str(error))


async def _run(spec: SiteSpec, json_out: bool, paired: bool) -> None:
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for each in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(each, ended.set)
    async with Site(spec) as site:
        if paired:
            await owner.adopt_all(site)
        facts = site.describe()
        if json_out:
            print(json.dumps(facts), flush=True)
        else:
            _print_facts(site, facts)

        def report(text: str) -> None:
            print(json.dumps({"event_failed": text}) if json_out else "event failed: " + text, flush=True)

        site.start_events(report)
        reported = 0
        while not ended.is_set():
            crashes = [
                "%s: %s; see %s" % (each.name, text, each.log_path) for each in site.boards for text in each.crashes
            ]
            for text in crashes[reported:]:
                print(json.dumps({"crash": text}) if json_out else "board crashed: " + text, flush=True)
            reported = len(crashes)
            try:
                await asyncio.wait_for(ended.wait(), 0.5)
            except TimeoutError:
                continue


def _print_facts(site: Site, facts: dict) -> None:
    print("broker    %(host)s:%(port)d" % facts["mqtt"])
    print("air       %s" % facts["air"]["hci"])
    for gateway, told in zip(site.gateways, facts["gateways"], strict=True):
        print("gateway   %s  topic %s  console %s" % (gateway.name, told["topic"], told["console"]))
    for told in facts["locks"]:
        print("lock      %(name)s  %(mac)s  panel %(panel)s  console %(console)s" % told)
    print("key book  %(keybook)s\nrecords   %(records)s" % facts)
    print("control   %(control)s\nlogs      %(logs)s\nseed      %(seed)d" % facts)
    print("Ctrl-C ends the site.", flush=True)
