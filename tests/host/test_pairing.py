"""Pairing with a simulated lock, whole and cut off at its last step: which keys the book holds afterwards."""

import asyncio
from dataclasses import replace

import pytest

from firmware.lib import opcodes
from firmware.lib.errors import AuthError, LinkError
from host_tools.errors import HostError
from host_tools.near import lock_link, pairing, sightings
from host_tools.owner.keybook import Entry, KeyBook
from host_tools.sim.ble import bleak_air
from host_tools.sim.site.site import Site, SiteSpec

OLD = Entry("24:0a:c4:b0:00:02", "old name", "00" * 16, 1, 2)


@pytest.fixture
def book(tmp_path):
    return KeyBook(tmp_path / "keys.json")


def with_touched_lock(work, profile="ideal"):
    """Run `work(lock, found)` on a site with one lock that has just been touched."""

    async def run():
        async with Site(SiteSpec(gateways=0, locks=1, profile=profile)) as site:
            bleak_air.install(site.air)
            lock = site.locks[0]
            await lock.ask({"do": "hello"}, 30)
            await lock.panel({"do": "touch"})
            found = await sightings.scan(lambda heard: heard.mac == lock.mac and heard.advert.settable, 20)
            assert found
            await work(lock, found)

    asyncio.run(run())


def broken_at_the_end(monkeypatch, sends):
    """Have the link break at 0x57, before it is sent or right after it was answered."""
    whole = lock_link.LockLink.exchange

    async def exchange(self, command, plain=b"", timeout_ms=6000):
        if command == opcodes.PAIRING_DONE:
            if sends:
                await whole(self, command, plain, timeout_ms)
            err = LinkError("cut off by the test")
            err.sent = sends
            raise err
        return await whole(self, command, plain, timeout_ms)

    monkeypatch.setattr(lock_link.LockLink, "exchange", exchange)


def test_pairing_keeps_keys_that_open_the_lock_and_switches_remote_unlock_on(book):
    async def work(lock, found):
        outcome = await pairing.pair(found, book, "Front door", allow_remote=True)
        assert outcome.notes == []
        assert outcome.remote_unlock is True
        assert outcome.autolock_s == 5
        entry = book.find("front door")
        assert entry == outcome.entry
        assert not entry.provisional
        assert entry.model == "GATEHOUSE-L1"
        assert len(entry.admin_passcode) == 7
        assert (await lock.panel({"do": "state"}))["paired"]
        assert await pairing.set_remote_unlock(entry, False) is False
        assert await pairing.confirm(entry, book)

    with_touched_lock(work)


def test_a_lock_by_another_maker_is_paired_and_operated(book):
    """Profile `real`: an empty answer to 0x45, 0x19 in an outer byte of its own, group and org that are not 1, half of
    the attempts to connect in vain (hardware-facts.md F3, F20, F21)."""

    async def work(lock, found):
        assert not found.is_ours
        outcome = await pairing.pair(found, book, "Front door")
        entry = book.find("front door")
        assert (entry.group, entry.org) == (10, 12) and entry.model.startswith("SN484") and not entry.provisional
        assert (await lock.panel({"do": "state"}))["paired"]
        assert not [note for note in outcome.notes if "clock" in note]
        with pytest.raises(HostError) as caught:  # it answers 0x45 with its battery, under its own key
            await pairing.pair(found, book, "second")
        assert "reset" in caught.value.todo

    with_touched_lock(work, "real")


def test_a_lock_that_nobody_touched_is_not_paired(book):
    async def work(lock, found):
        await pairing.pair(found, book, "first")
        again = replace(book.find("first"))
        with pytest.raises(HostError) as caught:
            await pairing.pair(found, book, "second")
        assert "reset" in caught.value.todo
        assert book.entries() == [again]

    with_touched_lock(work)


def test_an_answer_lost_at_the_last_step_is_cleared_up_by_logging_in(book, monkeypatch):
    async def work(lock, found):
        broken_at_the_end(monkeypatch, sends=True)
        outcome = await pairing.pair(found, book, "Front door")
        assert book.entries() == [outcome.entry]
        assert not outcome.entry.provisional
        assert (await lock.panel({"do": "state"}))["paired"]

    with_touched_lock(work)


def test_a_lock_that_rolled_back_leaves_the_earlier_entry(book, monkeypatch):
    async def work(lock, found):
        book.put(OLD)
        broken_at_the_end(monkeypatch, sends=False)
        with pytest.raises(HostError) as caught:
            await pairing.pair(found, book, "Front door")
        assert "did not keep" in str(caught.value)
        assert book.entries() == [OLD]
        assert not (await lock.panel({"do": "state"}))["paired"]

    with_touched_lock(work)


def test_a_lock_that_forgot_the_pairing_and_lost_its_power_is_found_out(book, monkeypatch):
    async def work(lock, found):
        book.put(OLD)
        broken_at_the_end(monkeypatch, sends=False)
        whole = pairing.scan

        async def deaf(wanted, timeout_s):
            return None

        monkeypatch.setattr(pairing, "scan", deaf)
        with pytest.raises(HostError):
            await pairing.pair(found, book, "Front door")
        monkeypatch.setattr(pairing, "scan", whole)
        await lock.restart()  # its window is closed now: it does not advertise that it can be paired
        with pytest.raises(HostError) as caught:
            await pairing.confirm(book.find("front door"), book)
        assert "did not keep" in str(caught.value)
        assert book.entries() == [OLD]

    with_touched_lock(work)


def test_f015_keys_are_kept_while_the_lock_cannot_be_asked(book, monkeypatch):
    async def work(lock, found):
        book.put(OLD)
        broken_at_the_end(monkeypatch, sends=True)
        whole = pairing.scan

        async def deaf(wanted, timeout_s):
            return None

        monkeypatch.setattr(pairing, "scan", deaf)
        with pytest.raises(HostError) as caught:
            await pairing.pair(found, book, "Front door")
        assert caught.value.code == "outcome_unknown"
        assert "--confirm" in caught.value.todo
        (entry,) = book.entries()
        assert entry.provisional
        assert entry.earlier["name"] == "old name"
        monkeypatch.setattr(pairing, "scan", whole)
        assert await pairing.confirm(entry, book)
        (entry,) = book.entries()
        assert (entry.provisional, entry.earlier) == (False, None)

    with_touched_lock(work)


def test_a_refusal_that_proves_nothing_keeps_the_keys(book, monkeypatch):
    async def work(lock, found):
        outcome = await pairing.pair(found, book, "Front door")
        book.put_provisional(outcome.entry)

        async def refused(self, admin_ps, unlock_key):
            raise AuthError("refused by the test")

        monkeypatch.setattr(lock_link.LockLink, "login", refused)
        with pytest.raises(HostError) as caught:
            await pairing.confirm(outcome.entry, book)
        assert caught.value.code == "auth"
        assert book.find("front door").provisional

    with_touched_lock(work)


def test_withdrawing_leaves_confirmed_entries_alone(book):
    book.put(OLD)
    book.withdraw(OLD.mac)
    assert book.entries() == [OLD]
    book.put_provisional(replace(OLD, name="new"))
    book.put_provisional(replace(OLD, name="newer"))
    assert book.find("newer").earlier["name"] == "old name"
    book.withdraw(OLD.mac)
    assert book.entries() == [OLD]


def test_the_wall_clock_of_a_lock_is_utc_plus_its_offset():
    assert pairing.local_date6("CET-1", 1_800_000_000) == (2027, 1, 15, 9, 0, 0)
    assert pairing.local_date6("<-0530>5:30", 1_800_000_000) == (2027, 1, 15, 2, 30, 0)
