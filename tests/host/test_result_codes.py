"""Every word with which the gateway refuses a request is one of the result words (domain.md 5.5)."""

import ast
import json

from firmware.gateway.admission import Refusal
from firmware.lib import reports
from tests.micropython import ROOT


def _refusals() -> list[tuple[str, list[ast.expr]]]:
    calls = []
    for path in sorted((ROOT / "firmware/gateway").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Refusal":
                calls.append((path.name, node.args))
    return calls


def test_each_code_of_a_refusal_is_a_result_word():
    calls = _refusals()
    assert len(calls) > 10
    for name, args in calls:
        assert isinstance(args[0], ast.Constant), name
        code = args[0].value
        reason = args[2].value if len(args) > 2 and isinstance(args[2], ast.Constant) else None
        told = json.loads(reports.failure("one", "import", Refusal(code, "text", reason), 0, 0))
        assert told["code"] == code, name
        assert told["data"] == ({} if reason is None else {"reason": reason})
