"""What the lock answers to whom, and that bad frames, old headers and the public key tell and move nothing."""

import ast
import re

import pytest

from host_tools.boards import stage
from tests.faults.rows import Row, run_program

# What firmware must not contain (security.md DWN-2): ways round verification, and codecs of earlier generations
_FORBIDDEN_NAMES = re.compile(r"cert_none|check_hostname|verify_mode\s*=\s*0|plaintext_debug|ignore_crc|skip_crc", re.I)
_FORBIDDEN_SETTINGS = re.compile(r"verif|crc_off|no_crc|no_encrypt|plaintext|debug|legacy|fallback", re.I)
# XOR is for checksums, padding, comparing and curve arithmetic; a coder of text would need it anywhere else
_XOR_ALLOWED = {"firmware/lib/%s.py" % name for name in ("frame", "crypto", "x25519", "security1")}


@pytest.mark.row("T-AUTZ-1", "256 opcodes at nine levels against the table of security.md 3.2")
def test_authorization_matrix(row: Row) -> None:
    row.take(run_program("authority_matrix"))


@pytest.mark.row("T-ORC-1", "six kinds of bad frames at five levels: no answer, same end, same operations")
def test_bad_frames_cannot_be_told_apart(row: Row) -> None:
    row.take(run_program("oracle", row.count(300, 5000), row.seed))


@pytest.mark.row("T-DWN-2", "legacy, short and other versions' headers around right requests")
def test_other_headers_get_no_answer_and_have_no_effect(row: Row) -> None:
    row.take(run_program("downgrade", row.count(3000, 100000), row.seed))


def sources() -> list:
    return sorted({path for role in stage.ROLES for path in stage.modules(role)})


@pytest.mark.row("T-DWN-3", "source scan: no legacy codec, no switch that turns verification off")
def test_firmware_contains_no_legacy_codec_and_no_way_round_checks(row: Row) -> None:
    for path in sources():
        name = str(path.relative_to(stage.ROOT))
        tree = ast.parse(path.read_text())
        xors = [node for node in ast.walk(tree) if isinstance(getattr(node, "op", None), ast.BitXor)]
        row.check(
            not xors or name in _XOR_ALLOWED, "%s: exclusive or in line %d" % (name, xors[0].lineno if xors else 0)
        )
        code = ast.unparse(tree)
        row.check(not _FORBIDDEN_NAMES.search(code), "%s: a way round verification" % name)
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Setting":
                key = node.args[0].value  # type: ignore[attr-defined]
                row.check(not _FORBIDDEN_SETTINGS.search(key), "%s: setting %s" % (name, key))
            if isinstance(node, ast.FunctionDef):
                row.check(not re.search(r"legacy|_v[12]$|xor", node.name), "%s: %s" % (name, node.name))
    assert "verify_mode = 0" and _FORBIDDEN_NAMES.search("context.verify_mode = 0")


@pytest.mark.row("T-KEY-3", "default key to an initialised lock, 256 opcodes: constant refusals, no effect")
def test_default_key_is_of_no_use_on_an_initialised_lock(row: Row) -> None:
    row.take(run_program("default_key", row.seed))


@pytest.mark.row("T-REM-2", "at the lock: the gateways' uid is refused, random frames change no switch (REM-4)")
def test_remote_unlock_switch_is_kept_by_the_lock(row: Row) -> None:
    row.take(run_program("switch", row.count(2000, 100000), row.seed))
