"""R-05, R-06: the power goes at every flash operation of every flow that stores something (security.md 4.1)."""

import pytest

from bench.flash import costs
from firmware.gateway.operations import table
from firmware.lock.commands.table import COMMANDS
from tests.faults.rows import FULL, Row, run_program

_MOST_ERASES = 7
# Commands of the lock that change what is stored, with the operations of those that have several
_CHANGES = {
    **dict.fromkeys("19 31 43 44 47 4e 52 53 56 57 58".split(), ()),
    "03": ("01", "02", "03", "05", "06"),
    "05": ("02", "03", "04", "05", "20", "21"),
    "06": ("02", "03", "04", "05"),
    "70": ("02", "03", "04"),
    "e3": ("02", "03", "04", "05"),
    "e8": ("02", "03", "04", "05"),
    "66": ("02", "03", "04"),
    **dict.fromkeys("36 37 59 61 62 67 68 71 e6".split(), ("02",)),
}
_QUERIES = "01 04 07 14 25 30 34 41 45 55 65 74 90 e7".split()
# Operations of the gateway that have no flow of their own: what stores them is one and the same, cut with others
PENDING = set(
    """
    card_add card_change card_clear card_delete card_lost
    autolock_set ekey_add ekey_change ekey_delete ekey_freeze ekey_reset ekey_unfreeze emergency_unlock
    fingerprint_change fingerprint_clear fingerprint_delete fob_change fob_clear fob_delete freeze name_set
    passage_add passage_clear passage_delete setting_set unfreeze zone_set
    """.split()
)
_TEARS = ["", "prefix", "bits", "noise"]


def _explore(row: Row, program: str, every: int, nested: int) -> set[str]:
    """Full: every operation, not made and torn in each way, and again at every operation of the recovery.
    Returns what the flows have asked for.
    """
    how = {"every": every, "tears": ["", "noise"], "nested": nested}
    if FULL:
        how = {"every": 1, "tears": _TEARS, "nested": 1}
    found = run_program(program, how | {"seed": row.seed, "names": []}, timeout_s=7200)
    done = set(found["figures"].pop("done"))
    row.take(found)
    assert found["figures"]["operations"] > 300
    return done


def _wear(row: Row, act: str) -> None:
    """4.3 rule 6 wants one block erase per 50 records; what littlefs allows is some more, and no more than this."""
    cost = next(each for each in costs(150) if each["act"] == act)
    per_50 = 50 * cost["erases"] / cost["n"]
    row.figure("erases_per_50_records", round(per_50, 1))
    row.check(per_50 <= _MOST_ERASES, "%.1f erases per 50 records" % per_50)


@pytest.mark.row("R-05", "lock, power cut at each flash operation")
def test_lock_outlives_a_power_cut_at_every_flash_operation(row: Row) -> None:
    done = _explore(row, "cut_lock", 83, 80)
    assert {"%02x" % command for command in COMMANDS} <= set(_CHANGES) | set(_QUERIES), (
        "a command: does it change anything?"
    )
    for command, operations in _CHANGES.items():
        for operation in operations or [""]:
            cut = [each for each in done if each.startswith("%s.%s" % (command, operation))]
            assert cut, "no flow cuts command %s, operation %s" % (command, operation)
    _wear(row, "lock: record")


@pytest.mark.row("R-06", "gateway, power cut at each flash operation")
def test_gateway_outlives_a_power_cut_at_every_flash_operation(row: Row) -> None:
    done = _explore(row, "cut_gateway", 61, 60)
    wanted = {op for op in table.operations() if table.rules(op, True) & (table.DURABLE | table.VOLATILE)}
    assert sorted(wanted - done - PENDING) == [], "operations that no flow cuts"
    assert not PENDING & done
    _wear(row, "gateway: record read, sent")
