"""What a site consists of: SiteSpec, and the boards that follow from it."""

from dataclasses import dataclass, field, replace
from pathlib import Path

from host_tools.sim.air import real
from host_tools.sim.board import flash_image
from host_tools.sim.board.board import BoardSpec
from host_tools.sim.board.mechanics import TRAVEL_S
from host_tools.sim.site.broker import HOST
from host_tools.sim.site.house import House
from host_tools.sim.site.timeline import Event

SSID, PASSWORD = "sim", "simulated"
OWN = "own"  # profile of a lock with the manners of ours, on an air where the others have not
_PLAIN = {"mqtt_host": HOST, "insecure_broker": True}
_LOCK_NAMES = ("Front door", "Back door", "Garage", "Cellar", "Shed", "Office")


@dataclass(frozen=True)
class Plan:
    """One board that differs from the others of its role: its name, its place in metres, settings laid over theirs.

    Of a lock also whose manners it has (`real` or `own`; None: as the site's air) and which variants of `real`.
    """

    name: str | None = None
    at: tuple[float, float] | None = None
    settings: dict = field(default_factory=dict)
    profile: str | None = None
    variants: tuple[str, ...] | None = None


@dataclass
class SiteSpec:
    """What to build. `gateway_settings` and `lock_settings` are laid over those of a demonstration site.

    `gateway_plans` and `lock_plans` say more about the first so many boards; `events` happen once the site is up.
    """

    gateways: int = 1
    locks: int = 2
    profile: str = "home"
    variants: tuple[str, ...] = ()  # of the profile `real`, for every lock that has its manners
    seed: int | None = None
    provisioned: bool = True  # gateways find Wi-Fi and broker in their settings
    owned: bool = True  # and belong to the owner of the site's key book
    gateway_settings: dict = field(default_factory=dict)
    lock_settings: dict = field(default_factory=dict)
    gateway_heapsize: str | None = None
    gateway_flash_size: int = flash_image.SIZE
    lock_heapsize: str | None = None
    broker: str = "iotcore"  # or mosquitto
    broker_keeps: bool = False  # mosquitto: what is retained outlives its restart
    secure: bool = False  # TLS, an identity for each client, and on mosquitto access rules
    mpy: bool = True
    folder: Path | None = None  # for logs and flash images; without it a temporary one
    keep_folder: bool = False
    clock_backup: bool = True  # a lock's clock runs on while its board is restarted
    bolt_travel_s: float = TRAVEL_S  # what every bolt takes from one end to the other
    gateway_plans: list[Plan] = field(default_factory=list)
    lock_plans: list[Plan] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)

    @property
    def is_unsigned(self) -> bool:
        """Whether the gateways let anybody who may publish open doors: off, unless somebody asked for it."""
        return bool(self.gateway_settings.get("unsigned_unlock"))

    def gateway_plan(self, index: int) -> Plan:
        """The plan of a gateway, with a name."""
        usual = "Gateway" if self.gateways == 1 else "Gateway %d" % (index + 1)
        return _named(self.gateway_plans, index, usual)

    def lock_plan(self, index: int) -> Plan:
        """The plan of a lock, with a name and a place."""
        usual = _LOCK_NAMES[index] if index < len(_LOCK_NAMES) else "Lock %d" % (index + 1)
        plan = _named(self.lock_plans, index, usual)
        return replace(
            plan,
            at=plan.at or (2.0 + index % 4, float(index // 4)),
            profile=plan.profile or (real.PROFILE if self.profile == real.PROFILE else OWN),
            variants=self.variants if plan.variants is None else plan.variants,
        )

    def manners(self, index: int) -> real.Manners | None:
        """What a lock does at the radio, if that is not what ours does."""
        plan = self.lock_plan(index)
        return real.manners(plan.variants or ()) if plan.profile == real.PROFILE else None

    def gateway(self, index: int, mqtt_port: int, ntp_hosts: list[str], house: House | None = None) -> BoardSpec:
        """A gateway's board; `house`: what it has to know of a secure broker."""
        base_mac = gateway_id(index)
        at_broker, files = house.board(base_mac) if house and self.provisioned else (_PLAIN, {})
        plan = self.gateway_plan(index)
        settings: dict = {}
        if self.provisioned:
            settings = {
                "wifi_ssid": SSID,
                "wifi_password": PASSWORD,
                **at_broker,
                "mqtt_port": mqtt_port,
                "ntp_hosts": ntp_hosts,
                "name": plan.name,
                **self.gateway_settings,
                **plan.settings,
            }
        return BoardSpec(
            name=plan.name or "",
            role="gateway",
            base_mac=base_mac,
            settings=settings,
            files=files,
            heapsize=self.gateway_heapsize,
            mpy=self.mpy,
            flash_size=self.gateway_flash_size,
        )

    def lock(self, index: int) -> BoardSpec:
        """A lock's board."""
        plan = self.lock_plan(index)
        return BoardSpec(
            name=plan.name or "",
            role="lock",
            base_mac="240ac4b0%04x" % (index * 4),
            settings={
                "panel": True,
                "door_sensor": True,
                "clock_backup": self.clock_backup,
                "travel_ms": max(600, round(self.bolt_travel_s * 1000)),  # what it calls a jam follows from it
                **(real.lock_settings(plan.variants or ()) if plan.profile == real.PROFILE else {}),
                **self.lock_settings,
                **plan.settings,
            },
            heapsize=self.lock_heapsize,
            mpy=self.mpy,
            clock_backup=self.clock_backup,
            bolt_travel_s=self.bolt_travel_s,
        )


def gateway_id(index: int) -> str:
    """The id of a site's gateway."""
    return "240ac4a0%04x" % (index * 4)


def _named(plans: list[Plan], index: int, usual: str) -> Plan:
    plan = plans[index] if index < len(plans) else Plan()
    return replace(plan, name=plan.name or usual)
