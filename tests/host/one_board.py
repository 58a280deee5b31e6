"""A board that runs a program of a test, on a site with nothing else."""

from pathlib import Path

from host_tools.sim.board import flash_image
from host_tools.sim.board.board import Board, BoardSpec
from host_tools.sim.site.site import Site, SiteSpec


class OneBoard:
    """`program` is its main.py, `files` what else is on its flash (name -> text). It is entered when it has power."""

    def __init__(self, folder: Path, program: str, files: dict[str, str] | None = None) -> None:
        self.site = Site(SiteSpec(gateways=0, locks=0, profile="ideal", seed=1, folder=folder / "site"))
        self._tree = folder / "tree"
        self._tree.mkdir()
        for name, text in {"main.py": program, **(files or {})}.items():
            (self._tree / name).write_text(text)

    async def __aenter__(self) -> Board:
        await self.site.__aenter__()
        board = self.site.add(BoardSpec("board", "lock", "240ac4b00100"))
        flash_image.create_from(board.image, self._tree)
        await board.start()
        return board

    async def __aexit__(self, *exc) -> None:
        await self.site.__aexit__(*exc)
