# What every Gatehouse build has frozen in: both roles (the file /role chooses one at the start) and the start files.
# Frozen bytecode stays in flash; what a board does not import costs it no RAM.
from pathlib import Path

# Spoken by the host tools alone
_NOT_ON_BOARDS = ("lib/messages/pairing_client.py",)

_sources = sorted(path.relative_to("../firmware").as_posix() for path in Path("../firmware").rglob("*.py"))
module("boot.py", base_path="..")
module("main.py", base_path="..")
package("firmware", tuple(name for name in _sources if name not in _NOT_ON_BOARDS), base_path="..")
