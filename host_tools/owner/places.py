"""Where the owner's files are, and how those of a simulated site are kept apart from them.

Owns the default paths. A site's locks are made up: their keys and records must not come among those of real doors. So
a site marks its folder, and what stands beside a key book that is named there belongs to it; who only has the simulated
air at hand (GATEHOUSE_AIR) gets a folder `simulator` of its own; and a store refuses what a simulated gateway sends.
"""

import os
from pathlib import Path

KEYS = "GATEHOUSE_KEYS"
RECORDS = "GATEHOUSE_RECORDS"
CONFIG = "GATEHOUSE_CONFIG"
AIR = "GATEHOUSE_AIR"
_MARK = "simulated-site"
_SIMULATOR = "simulator"


def _folder(variable: str, *below_home: str) -> Path:
    return Path(os.environ.get(variable) or Path.home().joinpath(*below_home)) / "gatehouse"


def own_records() -> Path:
    """The record store of the owner's real locks, where nothing else is said."""
    return _folder("XDG_DATA_HOME", ".local", "share") / "records.db"


def keys() -> Path:
    """$GATEHOUSE_KEYS or ~/.config/gatehouse/keys.json; on the simulated air another one."""
    given = os.environ.get(KEYS)
    if given:
        return Path(given)
    folder = _folder("XDG_CONFIG_HOME", ".config")
    return (folder / _SIMULATOR if os.environ.get(AIR) else folder) / "keys.json"


def config() -> Path:
    """$GATEHOUSE_CONFIG or ~/.config/gatehouse/config.toml: the brokers of the command line."""
    return Path(os.environ.get(CONFIG) or _folder("XDG_CONFIG_HOME", ".config") / "config.toml")


def records() -> Path | str:
    """$GATEHOUSE_RECORDS, a file or the URL of a database, or ~/.local/share/gatehouse/records.db; beside a simulated
    site's key book, or on the simulated air, another one."""
    given = os.environ.get(RECORDS)
    if given:
        return given if "://" in given else Path(given)
    return _data("records.db")


def _data(name: str) -> Path:
    """A file or folder of this program's data; of a simulated site's, or on the simulated air, another one."""
    book = os.environ.get(KEYS)
    if book and (Path(book).parent / _MARK).exists():
        return Path(book).parent / name
    own = own_records()
    return (own.parent / _SIMULATOR if os.environ.get(AIR) else own.parent) / name


def exports() -> Path:
    """The folder of files with secrets that no path was given for; made where it is missing, for its owner only.
    Raises OSError."""
    folder = _data("exports")
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.chmod(0o700)
    return folder


def gateways() -> Path:
    """Names and ids of the gateways that were seen last, for the completion of a shell."""
    return _data("gateways.json")


def mark_simulated(folder: Path) -> None:
    """What stands in this folder is a simulated site's."""
    (folder / _MARK).write_text("Keys and records of a simulated site. gatehouse keeps them apart from real ones.\n")
