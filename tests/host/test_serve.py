"""`gatehouse serve` on a real mosquitto and SQLite: what it takes, what it refuses, what it tells of itself."""

import asyncio
import json
import urllib.error
import urllib.request
from dataclasses import replace

import aiomqtt
import pytest

from firmware.lib import envelope
from host_tools.broker import rules
from host_tools.broker.authority import Identity
from host_tools.errors import HostError
from host_tools.gateway.database import Database
from host_tools.gateway.records_batch import read_batch
from host_tools.gateway.records_choice import Choice
from host_tools.gateway.records_store import RecordStore
from host_tools.owner import given_names, names, recorders
from host_tools.owner.keybook import KeyBook
from host_tools.serve import config, files, service
from host_tools.serve.metrics import Endpoint, Metrics
from host_tools.sim.site.broker import Broker, find_mosquitto
from tests.host.gateway_end import pinned
from tests.host.test_cli import ENTRY, gatehouse
from tests.host.test_gateway_client import GATEWAY, LOCK
from tests.host.test_records_host import ADA, item
from tests.host.test_records_proof import ITEMS, RECORD_KEY, TOPIC, forged, text_of

GOOD = """
[service]
keys = "keys.json"
listen = "127.0.0.1:0"
[broker]
host = "127.0.0.1"
port = %d
insecure = true
[database]
url = "sqlite:///records.db"
"""


def configured(tmp_path, port=1, more=""):
    (tmp_path / "serve.toml").write_text(GOOD % port + more)
    (tmp_path / "keys.json").write_text(json.dumps(recorders.to_file([pinned(GATEWAY)])))
    return config.load(tmp_path / "serve.toml", {})


@pytest.mark.skipif(not find_mosquitto(), reason="mosquitto is not installed")
def test_only_what_is_proven_is_kept_and_acknowledged(tmp_path):
    """Forged batches of every kind, an acknowledgement of a stranger's, then a good one, twice."""

    async def story():
        broker = Broker("mosquitto")
        await broker.start()
        chosen = configured(tmp_path, broker.port)
        told = asyncio.Queue()
        job = asyncio.create_task(service.run(chosen, told.put_nowait))
        acks = []
        try:
            while await told.get() != "connected to the broker":
                pass
            assert ("broker", "127.0.0.1:%d" % broker.port) in await service.check(chosen)
            async with aiomqtt.Client("127.0.0.1", broker.port) as client:
                await client.subscribe("gatehouse/+/lock/+/records/ack", qos=1)
                for _, topic, payload in forged():
                    if not topic.endswith("/ack"):
                        await client.publish(topic, payload, qos=1)
                good = envelope.sign(RECORD_KEY, TOPIC, text_of(ITEMS))
                for _ in range(2):
                    await client.publish(TOPIC, good, qos=1)
                    message = await anext(client.messages)
                    acks.append((str(message.topic), bytes(message.payload)))
        finally:
            job.cancel()
            await asyncio.gather(job, return_exceptions=True)
            await broker.close()
        return acks

    acks = asyncio.run(asyncio.wait_for(story(), 200))
    for topic, payload in acks:
        assert topic == TOPIC + "/ack" and envelope.verify(RECORD_KEY, topic, payload)
        told = json.loads(payload)
        assert (told["from"], told["to"], told["date"]) == (7, 8, ITEMS[-1]["date"])
    with RecordStore(tmp_path / "records.db") as store:
        assert [each["rec"] for each in store.every(LOCK, Choice())] == [7, 8]
        assert all(each["proven"] for each in store.every(LOCK, Choice()))


def test_the_metrics_and_the_health(tmp_path):
    metrics = Metrics()
    endpoint = Endpoint(metrics, ("127.0.0.1", 0))

    def ask(path):
        try:
            with urllib.request.urlopen("http://127.0.0.1:%d%s" % (endpoint.port, path)) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    metrics.records.labels("new").inc(3)
    assert 'gatehouse_records_total{result="new"} 3.0' in ask("/metrics")[1]
    assert ask("/healthz")[0] == 200, "it has just begun"
    for part in ("broker", "watch"):
        metrics.tell(part, "")
    metrics._away["database"] = (metrics._away["database"][0] - 1000, "gone")
    assert (ask("/healthz")[0], ask("/livez")[0], ask("/x")[0]) == (503, 200, 404)
    assert json.loads(ask("/healthz")[1])["away"]["database"]["why"] == "gone"
    metrics.database("")
    assert ask("/healthz") == (200, '{"ok": true, "away": {}}')
    with pytest.raises(HostError, match="listen"):
        Endpoint(metrics, ("127.0.0.1", endpoint.port))
    endpoint.close()


@pytest.mark.parametrize(
    "old, new, told",
    [
        ("[service]", "[servce]", "servce"),
        ("keys =", "kees =", "kees"),
        ('host = "127.0.0.1"', "host = 3", "wrong kind"),
        ('host = "127.0.0.1"', "", "broker.host is missing"),
        ("insecure = true", 'password = "x"', "password_file"),
        ("127.0.0.1:0", "nowhere", "address and port"),
        ("sqlite:///records.db", "postgresql://me:geheim@db/x", "holds a password"),
        ("[database]", "[alerts]\nbattery_low_pct = 50\n[database]", "no range"),
        ("[database]", "[alerts]\nwrong_codes = 0\n[database]", "too small"),
        ("[database]", '[alerts]\noff = ["everything"]\n[database]', "everything"),
        ("[database]", "[notify.phone]\n[database]", "url_file"),
        ("[database]", '[notify.x]\nurl_file = "u"\nkinds = ["y"]\n[database]', "'y'"),
        ("[database]", "[database", "TOML"),
    ],
)
def test_what_is_wrong_is_told(tmp_path, old, new, told):
    (tmp_path / "serve.toml").write_text((GOOD % 1).replace(old, new, 1))
    with pytest.raises(HostError) as error:
        config.load(tmp_path / "serve.toml", {})
    assert error.value.code == "config" and told in str(error.value) and "geheim" not in error.value.line()


def test_the_environment_goes_over_the_file(tmp_path):
    configured(tmp_path)
    told = {"BROKER_PORT": "5", "ALERTS_OFF": "door, alarm", "ALERTS_BACK_S": "1.5"}
    environ = {config.PREFIX + name: value for name, value in told.items()} | {"XDG_DATA_HOME": "y"}
    chosen = config.load(tmp_path / "serve.toml", environ)
    assert (chosen.broker.port, chosen.off, chosen.rules.back_s) == (5, {"door", "alarm"}, 1.5)
    for name, value in (("BROKER_PORT", "x"), ("NO_SUCH", "1"), ("BROKER_INSECURE", "perhaps")):
        with pytest.raises(HostError, match=name):
            config.load(tmp_path / "serve.toml", {config.PREFIX + name: value})


def test_a_secret_that_others_can_read_is_refused(tmp_path):
    (tmp_path / "u").write_text("json://localhost\n")
    (tmp_path / "u").chmod(0o644)
    more = '[notify.phone]\nurl_file = "u"\n'
    with pytest.raises(HostError, match="everybody"):
        configured(tmp_path, more=more)
    (tmp_path / "u").chmod(0o640)
    (target,) = configured(tmp_path, more=more).targets
    assert target.url == "json://localhost" and "localhost" not in repr(target)


def test_the_file_of_record_keys_commands_nothing(tmp_path, monkeypatch):
    monkeypatch.setenv("GATEHOUSE_KEYS", str(tmp_path / "keys.json"))
    owner = pinned(GATEWAY)
    KeyBook().change_gateway(GATEWAY, lambda known: owner)
    assert gatehouse("issuer", "recorder", "--to", str(tmp_path / "r.json")).exit_code == 0
    text = (tmp_path / "r.json").read_text()
    assert owner.key not in text and (tmp_path / "r.json").stat().st_mode & 0o777 == 0o600
    (known,) = recorders.read(json.loads(text))
    assert (known.id, known.key) == (GATEWAY, RECORD_KEY)
    assert recorders.to_file([replace(owner, issuer="kitchen")])["gateways"] == []
    for wrong in (None, [], {}, {"gatehouse_issuer": 1}, {"gatehouse_recorder": 1, "gateways": [{"id": "x"}]}):
        with pytest.raises(HostError):
            recorders.read(wrong)


def test_names_are_written_anew_with_every_change_and_hold_no_secret(tmp_path, monkeypatch):
    monkeypatch.setenv("GATEHOUSE_KEYS", str(tmp_path / "keys.json"))
    book = KeyBook()
    book.put(ENTRY)
    names.remember(book, ENTRY.mac, "passcode", None, "Ada", secret="864201")
    path = tmp_path / "names.json"
    assert gatehouse("keys", "names", str(path), "--keep").exit_code == 0
    text = path.read_text()
    assert ENTRY.aes not in text and "864201" not in text and ENTRY.admin_passcode not in text
    rows = {(row["kind"], row["name"]) for row in given_names.read(json.loads(text))[1]}
    assert {("lock", ENTRY.name), ("passcode", "Ada")} <= rows
    monkeypatch.setenv("GATEHOUSE_RECORDS", str(tmp_path / "records.db"))
    base = Database(tmp_path / "records.db")
    for _ in range(2):
        files.Watched(path, files.names_into(base)).look()
    base.close()
    with RecordStore() as store:
        store.keep(ENTRY.id, replace(read_batch(text_of([item(1, 4, 1790000000, ADA)])), proven=True))
    monkeypatch.setenv("GATEHOUSE_KEYS", str(tmp_path / "elsewhere.json"))
    shown = gatehouse("records", ENTRY.id, "--stored", "--person", "ada", "--json")
    assert [each["name"] for each in json.loads(shown.stdout)["records"]] == ["Ada"], shown.output
    monkeypatch.setenv("GATEHOUSE_KEYS", str(tmp_path / "keys.json"))
    assert gatehouse("keys", "remove", ENTRY.name, "--yes").exit_code == 0
    assert ENTRY.name not in path.read_text()


def test_the_service_hears_what_it_needs_and_publishes_acknowledgements_alone():
    made = rules.rules(Identity("keeper", "service"), [GATEWAY])
    base = "gatehouse/%s/" % GATEWAY
    for topic in (base + "lock/%s/records" % LOCK, base + "status"):
        assert rules.may(made, "read", topic) and not rules.may(made, "write", topic)
    written = [topic for action, topic in made if action == "write"]
    assert written == [base + "lock/+/records/ack"]
    for leaf in service.watcher.filters("gatehouse"):
        assert rules.may(made, "read", leaf.replace("+", GATEWAY, 1).replace("+", LOCK))
