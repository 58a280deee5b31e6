"""How long a full record store takes from the lock to MQTT: 500 records, none lost, none twice.

The lock's stores are full and nothing of them has been fetched. From the moment at which the gateway is handed the
lock's keys, which includes its first connection, to the last record at the broker.
"""

import tempfile
import time
from pathlib import Path

from rich.table import Table

from bench import full_stores
from bench.images import build_image, put_nvs
from bench.measure import conditions, parser, run, show
from host_tools.owner.keybook import Entry
from host_tools.sim.board import flash_image
from host_tools.sim.site import owner
from tests.system.bench import Bench

PROFILES = ("ideal", "home")
_GIVE_UP_S = 300


async def measure(profile: str, seed: int) -> tuple[float, int, int, int]:
    """Seconds, records made, records lost, records delivered more than once."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        async with Bench(folder / "bench", profile=profile, seed=seed) as bench:
            full = full_stores.full_lock(folder / "full", full_stores.RECORDS)
            settings = {"/data/settings.json": flash_image.as_json(bench.lock.spec.settings)}
            await bench.lock.kill()
            await put_nvs(bench.lock, full.nvs, folder / "nvs")
            build_image(bench.lock, folder / "image", full.files | settings)
            await bench.lock.start()
            entry = Entry(bench.lock.mac, "Front door", full.aes.hex(), full.admin_ps, full.unlock_key)
            made = full.numbers
            began_s = time.monotonic()
            await owner.hand_over(bench.site, bench.gateway, entry)
            try:
                await bench.until(lambda: _delivered(bench) >= set(made), "all records", _GIVE_UP_S)
            except AssertionError:
                pass  # what is missing is counted below
            took_s = time.monotonic() - began_s
            numbers = [item["rec"] for item in bench.records() if item["rec"] in made]
            return took_s, len(made), len(set(made) - set(numbers)), len(numbers) - len(set(numbers))


def _delivered(bench: Bench) -> set[int]:
    return {item["rec"] for item in bench.records()}


def table(n: int, seed: int, profiles: tuple[str, ...] = PROFILES) -> Table:
    """The table of all profiles."""
    made = Table("air", "run", "records", "s", "records per s", "lost", "twice", title="upload of a full record store")
    for profile in profiles:
        for number in range(n):
            took_s, count, lost, twice = run(measure(profile, seed + number))
            rate = "%.1f" % ((count - lost) / took_s)
            made.add_row(profile, str(number + 1), str(count), "%.1f" % took_s, rate, str(lost), str(twice))
    made.caption = conditions(seed, n)
    return made


def main() -> None:
    """Entry point."""
    chosen = parser(__doc__ or "", 1).parse_args()
    show(table(chosen.n, chosen.seed))


if __name__ == "__main__":
    main()
