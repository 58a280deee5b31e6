"""Flash of simulated boards written anew: another program, files and key-value store of used boards."""

from pathlib import Path

from host_tools.sim.board import flash_image
from host_tools.sim.board.board import Board

_KEEP_NVS = Path(__file__).parent / "programs" / "keep_nvs.py"


def build_image(board: Board, folder: Path, files: dict[str, bytes], program: Path | None = None) -> None:
    """Write the flash of `board` anew, `program` in place of its start files. A frozen build has no firmware there."""
    tree = flash_image.tree(board.role, folder / "tree")
    if program:
        (tree / "boot.py").write_bytes(b"")
        (tree / "main.py").write_bytes(program.read_bytes())
    for name, content in files.items():
        target = tree / name.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
    flash_image.create_from(board.image, tree, board.spec.flash_size)


async def put_nvs(board: Board, entries: bytes, folder: Path) -> None:
    """Write the key-value store of a board that is off, by the board itself. `entries` as keep_nvs.py reads them."""
    build_image(board, folder, {"/data/nvs.json": entries}, _KEEP_NVS)
    await board.start()
    await board.wait_line("nvs kept", 10)
    await board.kill()
