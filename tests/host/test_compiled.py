"""The compiled firmware of the tests on MicroPython is that of the sources, whatever has been compiled before."""

import subprocess
from pathlib import Path

from tests import compiled
from tests.micropython import interpreters


def _import(root: Path, on: str) -> str:
    compiled.firmware.cache_clear()
    folder = compiled.firmware(root)
    program = "import sys; sys.path[:] = [%r]; from firmware.lib import word; print(word.SAID)" % str(folder)
    done = subprocess.run([on, "-c", program], capture_output=True, text=True, check=False)
    return (done.stdout + done.stderr).strip().splitlines()[-1]


def test_what_is_imported_is_what_the_source_says(tmp_path):
    lib = tmp_path / "firmware" / "lib"
    lib.mkdir(parents=True)
    (lib / "__init__.py").write_text("")
    (lib / "same.py").write_text("HERE = 'same'\n")
    for said in ("one", "two", "one"):  # and back: what was made before is of that content
        (lib / "word.py").write_text("from firmware.lib import same\n\nSAID = same.HERE + ' %s'\n" % said)
        for on in interpreters():
            assert _import(tmp_path, on) == "same " + said
    kept = tmp_path / ".cache" / "mpy"
    assert len(list(kept.glob("*.mpy"))) == 4  # each content once


def test_what_does_not_compile_fails_where_it_is_imported(tmp_path):
    lib = tmp_path / "firmware" / "lib"
    lib.mkdir(parents=True)
    (lib / "word.py").write_text("SAID = (\n")
    for on in interpreters():
        assert _import(tmp_path, on).startswith("SyntaxError")
