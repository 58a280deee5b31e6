"""`gatehouse serve` with everything around it failing: instances killed, the database and the broker restarted, in the
middle of a fleet's records (mqtt.md 2). None is lost, none is there twice."""

import asyncio
import json
import os
import subprocess
import sys
import time

import pytest
from sqlalchemy import func, select

from host_tools.gateway.database import Database
from host_tools.gateway.records_schema import RECORDS
from host_tools.sim.board.pty_end import die_with_parent
from host_tools.sim.site.broker import Broker, find_mosquitto
from tests.faults.fleet import Publisher
from tests.host import postgres
from tests.scratch import scratch

C = RECORDS.c


def write_keys(path, publishers):
    """What `gatehouse issuer recorder` writes."""
    rows = [{"id": each.id, "name": "", "records": each.record_key.hex()} for each in publishers]
    path.write_text(json.dumps({"gatehouse_recorder": 1, "gateways": rows}))


class Instance:
    """One process of the service."""

    def __init__(self, folder, number, port, url):
        self.config = folder / ("%d.toml" % number)
        self.config.write_text(
            '[service]\nkeys = "keys.json"\nlisten = ""\n[broker]\nhost = "127.0.0.1"\nport = %d\ninsecure = true\n'
            '[database]\nurl = "%s"\n' % (port, url)
        )
        self.log = open(folder / ("%d.log" % number), "a")
        self.start()

    def start(self):
        self.process = subprocess.Popen(
            [sys.executable, "-m", "host_tools.cli", "serve", "--config", str(self.config)],
            stdout=self.log,
            stderr=self.log,
            env=os.environ | {"COLUMNS": "200"},
            preexec_fn=die_with_parent,
        )

    def kill(self):
        """As the kernel does when there is no memory left."""
        self.process.kill()
        self.process.wait()

    def end(self):
        """As systemd does."""
        self.process.terminate()
        status = self.process.wait()
        self.log.close()
        return status


@pytest.fixture
def server():
    if not postgres.find("initdb") or not postgres.find("pg_ctl"):
        pytest.skip("PostgreSQL is not installed (Debian: apt-get install postgresql)")
    made = postgres.Server(fsync=True)
    yield made
    made.close()


@pytest.mark.row("SERVE", "two instances on PostgreSQL: records lost or doubled while all around it fails")
def test_none_is_lost_and_none_twice_whatever_fails(row, server, tmp_path):
    if not find_mosquitto():
        pytest.skip("mosquitto is not installed")
    count, each, kills, restarts = (row.count(*pair) for pair in ((8, 200), (50, 500), (2, 10), (1, 2)))
    asyncio.run(story(row, server, tmp_path, count, each, kills, restarts))


async def story(row, server, folder, count, each, kills, restarts):
    broker = Broker("mosquitto")
    await broker.start()
    url = server.empty()
    flash = scratch("fleet")
    os.makedirs(flash, exist_ok=True)
    publishers = [Publisher(flash, number, each, broker.port) for number in range(count)]
    write_keys(folder / "keys.json", publishers)
    instances = [Instance(folder, number, broker.port, url) for number in range(2)]
    total = count * each
    plan = [(total * (n + 1) // (kills + 1), "kill") for n in range(kills)]
    plan += [(total * (2 * n + 1) // (2 * restarts + 1), "broker") for n in range(restarts)]
    plan += [(total * (2 * n + 2) // (2 * restarts + 1), "database") for n in range(restarts)]
    plan.sort()
    taken = 0
    news = asyncio.Event()

    def on_taken(how_many):
        nonlocal taken
        taken += how_many
        news.set()

    began = time.monotonic()
    jobs = [asyncio.create_task(publisher.run(on_taken)) for publisher in publishers]
    try:
        killed = 0
        while taken < total:
            while plan and taken >= plan[0][0]:
                _, what = plan.pop(0)
                if what == "kill":
                    one = instances[killed % 2]
                    killed += 1
                    await asyncio.to_thread(one.kill)
                    one.start()
                elif what == "broker":
                    await broker.stop()
                    await broker.start()
                else:
                    await asyncio.to_thread(server.cut)
                    await asyncio.to_thread(server.start)
            news.clear()
            waiting = asyncio.create_task(news.wait())
            await asyncio.wait([waiting, *jobs], return_when=asyncio.FIRST_COMPLETED)
            waiting.cancel()
            for job in jobs:
                if job.done():
                    job.result()
            jobs = [job for job in jobs if not job.done()]
            if not jobs:
                break
        took = time.monotonic() - began
    finally:
        for job in jobs:
            job.cancel()
        await asyncio.gather(*jobs, return_exceptions=True)
        statuses = [one.end() for one in instances]
        await broker.close()
    row.check(statuses == [0, 0], "an instance ends with %r" % statuses)
    row.check(not plan, "not all of it happened: %r" % plan)
    judge(row, url, publishers)
    row.figure("records", total)
    row.figure("per_s", round(total / took))
    row.figure("kills", killed)
    row.figure("restarts", "%d + %d" % (restarts, restarts))


def judge(row, url, publishers):
    base = Database(url)
    with base.reading() as connection:
        found = connection.execute(select(C.lock, C.epoch, C.rec, C.date)).all()
        names = select(func.count()).select_from(RECORDS).group_by(C.lock, C.epoch, C.rec, C.date)
        row.check(not [n for n in connection.scalars(names) if n != 1], "some are there twice")
    base.close()
    here = {}
    for lock, era, rec, _ in found:
        here.setdefault((lock, era), []).append(rec)
    for publisher in publishers:
        row.tried(publisher.count)
        got = sorted(here.get((publisher.lock.id, publisher.era), []))
        if got != list(range(publisher.count)):
            row.fail("%s: %d records of %d" % (publisher.lock.id, len(got), publisher.count))
        row.check(not publisher.left, "%s has %d left" % (publisher.id, publisher.left))
