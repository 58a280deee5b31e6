"""Files that commands write where nobody said where: in the user's data folder, for its owner only, never here."""

import json
import os

import pytest

from host_tools.cli import diagnose, reach
from host_tools.cli.main import app  # noqa: F401
from tests.host.test_cli_tree import alone, gatehouse  # noqa: F401


@pytest.fixture
def asked(alone, monkeypatch):  # noqa: F811
    async def answers(ident, name, via):
        return {"missing": {"lock": "not_near"}, "gateway": {"version": "0"}}

    monkeypatch.setattr(diagnose, "_ask", answers)
    here = alone / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    os.umask(0o022)
    return here


@pytest.mark.parametrize("option", [(), ("--to", "mine.json"), ("--output", "mine.json")])
def test_a_diagnosis_is_where_it_was_asked_for_or_in_the_data_folder(asked, option):
    result = gatehouse("diagnose", "Front door", *option, "--json")
    told = json.loads(result.stdout)
    assert result.exit_code == 0 and told["missing"] == {"lock": "not_near"}
    assert os.listdir(asked) == (["mine.json"] if option else [])
    assert option or told["file"].startswith(str(asked.parent / "data"))
    assert os.stat(told["file"]).st_mode & 0o777 == 0o600
    assert json.loads(open(told["file"]).read())["gateway"] == {"version": "0"}
    again = gatehouse("diagnose", "Front door", *option, "--json")
    assert again.exit_code == 0


def test_what_is_written_without_a_path_is_not_here(asked, monkeypatch):
    monkeypatch.setattr(reach, "target", lambda lock: ("240ac4b00000", "Front door"))
    for words in (("keys", "export", "Front door"), ("diagnose", "Front door")):
        assert gatehouse(*words).exit_code == 0
    assert os.listdir(asked) == []
