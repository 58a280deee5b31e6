"""`gatehouse time zone --beside`: what a lock was told beside it, its gateways are told, too."""

import pytest

from host_tools.near import ownership
from tests.host.test_cli import ENTRY, book, gatehouse  # noqa: F401
from tests.host.test_cli_no_wait import gateway  # noqa: F401


@pytest.fixture
def beside(monkeypatch):
    """This computer is beside the lock, which takes any time."""

    async def set_clock(book, entry, name, rule, now_s=None):  # noqa: F811
        ownership.keep_zone(book, entry, name, rule)
        return {"time": "2026-11-30T19:00:00"}

    monkeypatch.setattr(ownership, "set_clock", set_clock)


def test_the_gateway_is_told_the_zone(book, gateway, beside):  # noqa: F811
    result = gatehouse("time", "zone", "front door", "--zone", "Asia/Kolkata", "--beside", *gateway.at)
    assert result.exit_code == 0, result.output
    told = [(each["op"], each["args"]) for each in gateway.asked if each["op"] == "zone_set"]
    assert told == [("zone_set", {"zone": book.find("front door").zone_rule})]
    assert "told gateway" in result.stderr and "unless you run" not in result.stderr


@pytest.mark.parametrize("why", ["refused", "no broker"])
def test_what_the_gateway_was_not_told_is_said_with_what_to_do(book, gateway, beside, why):  # noqa: F811
    gateway.answers["zone_set"] = {"ok": False, "code": "no_clock", "msg": "no time"}
    at = gateway.at if why == "refused" else ("--broker", "127.0.0.1:1")
    result = gatehouse("time", "zone", "front door", "--zone", "Asia/Kolkata", "--beside", *at)
    assert result.exit_code == 0, "the lock has its time: %s" % result.output
    assert book.find("front door").zone == "Asia/Kolkata"
    assert "may still know another zone" in result.stderr
    assert "gatehouse time zone %s --zone Asia/Kolkata" % repr(ENTRY.name) in result.stderr, result.stderr
