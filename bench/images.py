"""Flash of simulated boards written anew: another program, a ROMFS, files and key-value store of used boards."""

import io
from contextlib import redirect_stdout
from pathlib import Path

import mpremote.romfs

from host_tools.boards import stage
from host_tools.sim.board import flash_image
from host_tools.sim.board.board import Board

_KEEP_NVS = Path(__file__).parent / "programs" / "keep_nvs.py"


def build_image(board: Board, build: str, folder: Path, files: dict[str, bytes], program: Path | None = None) -> None:
    """Write the flash of `board` anew, and its ROMFS where the build has one; `program` in place of main.py."""
    tree = stage.stage(board.role, folder / "tree", simulator=True)
    if program:
        (tree / "main.py").write_bytes(program.read_bytes())
    if build == "rom":
        rom = folder / "rom"
        (tree / stage.SLOT).rename(rom)
        (tree / "lib").rename(rom / "lib")
        image = folder / (board.role + ".romfs")
        with redirect_stdout(io.StringIO()):
            image.write_bytes(mpremote.romfs.make_romfs(str(rom) + "/", mpy_cross=False))
        board.spec.env["PROBE_ROM"] = str(image)
    for name, content in files.items():
        target = tree / name.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
    flash_image.create_from(board.image, tree, board.spec.flash_size)


async def put_nvs(board: Board, entries: bytes, folder: Path) -> None:
    """Write the key-value store of a board that is off, by the board itself. `entries` as keep_nvs.py reads them."""
    build_image(board, "stock", folder, {"/data/nvs.json": entries}, _KEEP_NVS)
    await board.start()
    await board.wait_line("nvs kept", 10)
    await board.kill()
