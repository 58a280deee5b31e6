"""docs/reference.md says of every option, variable, setting and status what the code has."""

import re
import subprocess

from firmware.gateway.operations import settings as lock_settings
from firmware.gateway.settings import TABLE
from host_tools.cli import reference, statuses
from tests.micropython import ROOT

PAGE = ROOT / "docs/reference.md"
NOT_VARIABLES = {"GATEHOUSE_COMPLETE", "GATEHOUSE_ESP", "GATEHOUSE_ESP32"}  # of Typer, and a board's name


def test_the_page_is_the_one_that_the_code_makes():
    assert PAGE.read_text() == reference.page(), "run `make reference`"


def test_every_variable_of_the_sources_is_named():
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    found = set()
    for name in filter(None, listed.split("\0")):
        path = ROOT / name
        if path.suffix in (".py", ".sh", ".mk", ".yml", "") and path.is_file() and path != PAGE:
            text = path.read_bytes().decode("utf-8", "replace")
            found |= set(re.findall(r"(?<![A-Z_])GATEHOUSE_[A-Z0-9]+(?:_[A-Z0-9]+)*", text))
    assert found - NOT_VARIABLES == set(reference.VARIABLES)


def test_every_setting_and_status_is_named():
    page = PAGE.read_text()
    assert {each.name for each in TABLE._settings} == set(reference.SETTINGS)
    assert set(lock_settings._TABLE) == set(reference.LOCK_SETTINGS.split())
    assert all("`%s`" % code in page for code in statuses.BY_CODE)
