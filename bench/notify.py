"""How many notifications a second reach a gateway's interrupt handler, from one board to another over the air.

Two boards that use `aioble`, connection interval 7.5 ms, notifications of five bytes sent as fast as the sender's
buffers take them. Every one is numbered: the order is checked.
"""

from rich.table import Table

from bench.measure import PROFILES, conditions, parser, run, show
from tests.host.test_radio import GATEWAY, LOCK, Board, air

_ATTEMPTS = 20


async def measure(profile: str, n: int, seed: int) -> tuple[int, bool]:
    """Notifications per second, and whether all came in order."""
    async with air(profile, seed=seed) as radio, Board(radio, LOCK, "radio_peripheral.py", "echo") as lock:
        await lock.line("up")
        for attempt in range(_ATTEMPTS):  # half of them fail on bad air
            async with Board(radio, GATEWAY, "radio_central.py", "echo", str(n), "talk") as gateway:
                try:
                    in_order, rate = await gateway.line("flood", 60)
                    return int(rate), in_order == "True"
                except AssertionError:
                    if attempt == _ATTEMPTS - 1:
                        raise
    raise AssertionError


def table(n: int, seed: int, profiles: tuple[str, ...] = PROFILES) -> Table:
    """The table of all profiles."""
    made = Table("air", "sent", "per second", "all, in order", title="notifications")
    for profile in profiles:
        rate, in_order = run(measure(profile, n, seed))
        made.add_row(profile, str(n), str(rate), "yes" if in_order else "NO")
    made.caption = conditions(seed, n)
    return made


def main() -> None:
    """Entry point."""
    chosen = parser(__doc__ or "", 1000).parse_args()
    show(table(chosen.n, chosen.seed))


if __name__ == "__main__":
    main()
