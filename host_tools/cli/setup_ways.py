"""The two ways on which `gatehouse setup` reaches a gateway: a cable, or Bluetooth in its add window.

Owns what differs between them; questions and their order are `setup`'s. Both give the same words for what fails.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from host_tools.boards import networks, provisioning
from host_tools.cli import boards, common, gateways
from host_tools.cli.common import out, progress
from host_tools.doctor import port as of_port
from host_tools.errors import HostError


@dataclass
class Heard:
    """A Wi-Fi network: its name, whether it has no password, and its line in a list."""

    ssid: str
    is_open: bool
    line: str


class Way(Protocol):
    """`wait_s`: how long the gateway may take until it answers over MQTT, once it has its settings."""

    wait_s: int

    def present(self) -> dict:
        """The settings that the gateway has, of secrets only whether there is one."""

    def heard(self) -> list[Heard]:
        """The Wi-Fi networks that it hears, the strongest first."""

    def provision(self, settings: dict) -> tuple[str, dict]:
        """Give it an owner and settings -> (its id, its settings). HostError with the words of `provisioning`."""

    def show_code(self) -> None:
        """Show what its add window wants."""


@dataclass
class OverUsb:
    """A board on a serial port."""

    port: str
    wait_s: int = boards.ANSWER_S

    def present(self) -> dict:
        return of_port.shown_settings(self.port)

    def heard(self) -> list[Heard]:
        with progress("the board listens for networks ..."):
            found = networks.heard(self.port)
        return [Heard(each["ssid"], not each["auth"], networks.shown(each)) for each in found]

    def provision(self, settings: dict) -> tuple[str, dict]:
        with progress("talking to the board ...") as step:
            about, shown = provisioning.provision(self.port, settings, gateways.owning, step)
        return str(about.get("id")), shown

    def show_code(self) -> None:
        """What a phone, or Bluetooth, needs for it in its add window; an older version has none."""
        from host_tools.boards import window

        try:
            name, proof = provisioning.proof(self.port)
        except HostError:
            return
        if not out.is_terminal:
            out.print("its label: gatehouse gateway pop --port %s" % self.port)
            return
        out.print("keep this for its add window (%s; keep it as you keep a password):" % name)
        for line in window.qr_lines(window.qr_text(name, proof)):
            out.print(line)


class OverAir:
    """A gateway in its add window. `proof` gives its proof of possession."""

    wait_s = boards.START_S

    def __init__(self, name: str, proof: Callable[[str], str]) -> None:
        from host_tools.boards import window

        self._window: Any = window
        self._board = common.run_near("looking for the gateway ...", lambda step: window.choose(name))
        self.name = self._board.name
        self._proof = proof(self.name)

    def present(self) -> dict:
        return {}  # of secrets nothing could be kept that is not typed once more

    def heard(self) -> list[Heard]:
        found = common.run_near(
            "the gateway listens for networks ...", lambda step: self._window.networks(self._board, self._proof)
        )
        shown = ({"ssid": each.ssid, "rssi": each.rssi_dbm, "auth": 0 if each.auth == "open" else 3} for each in found)
        return [Heard(each["ssid"], not each["auth"], networks.shown(each)) for each in shown if each["ssid"]]

    def provision(self, settings: dict) -> tuple[str, dict]:
        async def work(step: Callable[[str], None]) -> Any:
            try:
                return await self._window.provision(self._board, self._proof, settings, gateways.owning, step)
            except HostError as error:  # `run_near` would end the command, and some have a question to go back to
                return error

        outcome = common.run_near("talking to %s ..." % self.name, work)
        if isinstance(outcome, HostError):
            raise outcome
        return outcome.id, outcome.settings

    def show_code(self) -> None:
        """Who came this way has it."""
