"""T-ERA-1: what a gateway forgets is in no block of its flash and on no page of its NVS, whenever the power goes."""

import json
import random

import pytest

from tests.faults import canaries
from tests.faults.rows import Row, run_program


def _secrets() -> dict[str, bytes]:
    named = {name: canaries.text().encode() for name in ("wifi", "old wifi", "broker", "result")}
    sizes = {"aes": 16, "other aes": 16, "admin": 4, "issuer": 32, "x25519": 32, "tls key": 120}
    named |= {name: random.randbytes(size) for name, size in sizes.items()}
    named["admin"] = random.randrange(1 << 28, 1 << 31).to_bytes(4, "big")
    return named | {"code": canaries.digits().encode()}


def _forms(name: str, value: bytes) -> dict[str, bytes]:
    if name == "code":
        return canaries.of_code(value.decode())
    if name == "admin":
        return canaries.of_number(int.from_bytes(value, "big"))
    return canaries.of_key(value)


@pytest.mark.row("T-ERA-1", "forget and reset of a gateway, power cut meanwhile: every byte of flash and NVS")
def test_what_is_forgotten_is_nowhere_on_flash(row: Row, tmp_path) -> None:
    random.seed(row.seed)
    secrets = _secrets()
    forms = []
    for name, value in secrets.items():
        usable = {how: form for how, form in _forms(name, value).items() if len(form) >= canaries.SHORTEST}
        forms.append((name, [(how, form.hex()) for how, form in usable.items()]))
    given = {"seed": row.seed, "count": row.count(3, 250), "forms": forms}
    given["secrets"] = {name: value.hex() for name, value in secrets.items()}
    path = tmp_path / "story.json"
    path.write_text(json.dumps(given))
    row.take(run_program("erase", str(path), timeout_s=7200))
