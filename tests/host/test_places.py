"""Where the owner's files are: a simulated site's keys and records never come among those of real doors."""

import itertools

import pytest

from host_tools.errors import HostError
from host_tools.gateway.client import Gateways
from host_tools.gateway.records_store import RecordStore
from host_tools.owner import places
from host_tools.owner.keybook import KeyBook

_AIR = "tcp-client:127.0.0.1:1"


@pytest.fixture
def home(tmp_path, monkeypatch):
    for name in ("GATEHOUSE_KEYS", "GATEHOUSE_RECORDS", "GATEHOUSE_AIR", "XDG_CONFIG_HOME", "XDG_DATA_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def test_the_owner_s_own(home):
    assert KeyBook().path == home / ".config/gatehouse/keys.json"
    with RecordStore() as store:
        assert store.base.path == home / ".local/share/gatehouse/records.db" == places.own_records()


def test_whoever_is_at_a_simulated_site_leaves_the_owner_s_files_alone(home, tmp_path, monkeypatch):
    """Every way of being there: some or all of what a site prints is in the environment."""
    site = tmp_path / "site"
    site.mkdir()
    places.mark_simulated(site)
    own = {home / ".config/gatehouse/keys.json", home / ".local/share/gatehouse/records.db"}
    told = {"GATEHOUSE_AIR": _AIR, "GATEHOUSE_KEYS": site / "keys.json", "GATEHOUSE_RECORDS": site / "records.db"}
    for count in (1, 2, 3):
        for names in itertools.combinations(told, count):
            if names == ("GATEHOUSE_RECORDS",):
                continue  # nothing of it says that the rest is simulated
            for name in told:
                monkeypatch.delenv(name, raising=False)
            for name in names:
                monkeypatch.setenv(name, str(told[name]))
            assert places.records() not in own, names
            if "GATEHOUSE_AIR" in names or "GATEHOUSE_KEYS" in names:
                assert places.keys() not in own, names
    assert not home.exists()


def test_a_key_book_of_the_owner_s_elsewhere_keeps_the_records_where_they_were(home, tmp_path, monkeypatch):
    monkeypatch.setenv("GATEHOUSE_KEYS", str(tmp_path / "stick" / "keys.json"))
    assert places.records() == home / ".local/share/gatehouse/records.db"


def test_a_simulated_gateway_s_records_are_refused_by_the_owner_s_store(home, tmp_path):
    gateways = Gateways(None, "gatehouse")  # type: ignore[arg-type]
    for gateway, board, is_simulated in (
        ("a", "linux [GCC 12.2.0] version", True),
        ("b", "darwin [GCC 4.2.1] version", True),
        ("c", "ESP32S3 module with ESP32S3", False),
        ("d", "Generic ESP32 module with ESP32", False),
        ("e", None, False),
    ):
        gateways.info[gateway] = {"board": board}
        assert gateways.is_simulated(gateway) is is_simulated
        with RecordStore() as store:
            if is_simulated:
                with pytest.raises(HostError, match="simulated"):
                    store.demand_fitting(True, gateway)
            else:
                store.demand_fitting(False, gateway)
        with RecordStore(tmp_path / "elsewhere.db") as store:
            store.demand_fitting(is_simulated, gateway)


def test_what_a_site_prints_names_all_its_files(tmp_path):
    from host_tools.sim.site.site import Site, SiteSpec

    site = Site(SiteSpec(folder=tmp_path, gateways=0, locks=0))
    assert (site.key_book.name, site.record_store.name) == ("keys.json", "records.db")
