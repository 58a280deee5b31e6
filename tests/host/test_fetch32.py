"""The 32-bit interpreter: where it is asked for, and that it is what it claims to be."""

import subprocess

import pytest

from host_tools.boards import debian, fetch32


def test_each_archive_is_asked_once_in_apts_order():
    listing = "http://a.example/debian/\n\nhttp://b.example/other/\nhttp://a.example/debian/\n"
    assert debian.archives(listing) == ["http://a.example/debian/", "http://b.example/other/"]
    assert debian.archives("") == []


def test_a_machine_without_apt_goes_on_without(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(fetch32, "WRAPPER", tmp_path / "micropython")
    monkeypatch.setattr(debian.shutil, "which", lambda name: None)
    fetch32.main()
    assert "not here (" in capsys.readouterr().out


@pytest.mark.skipif(not fetch32.find32(), reason="set-up found no 32-bit MicroPython for this machine")
def test_it_has_32_bit_objects_and_is_started_through_a_link(tmp_path):
    link = tmp_path / "micropython"
    link.symlink_to(fetch32.WRAPPER)
    program = (
        "import sys, gc; gc.collect(); a = gc.mem_alloc(); x = [None] * 1000; print(sys.maxsize, gc.mem_alloc() - a)"
    )
    done = subprocess.run([str(link), "-c", program], capture_output=True, text=True, check=True)
    maximum, used = (int(each) for each in done.stdout.split())
    assert maximum == 2**31 - 1
    assert 4000 <= used < 4100  # four bytes for an element
