"""docs/reference.md, made from the code: `python -m host_tools.cli.reference` prints it (`make reference` writes it).

Owns what the code does not say by itself: the meaning of variables and settings. A test compares the page, and finds
what is missing here.
"""

from collections.abc import Iterator
from typing import Any

import typer.main

from firmware.gateway.settings import TABLE
from host_tools.cli import statuses, times
from host_tools.cli.main import app
from host_tools.screen import out

VARIABLES = {
    "GATEHOUSE_MQTT": "broker: a name in config.toml, host[:port], mqtts:// or mqtt:// URL. `--broker` goes before it",
    "GATEHOUSE_MQTT_CA": "who vouches for the broker: a PEM or DER file, or system (default)",
    "GATEHOUSE_MQTT_CERT": "client certificate of this computer, PEM or DER",
    "GATEHOUSE_MQTT_KEY": "its private key, PEM or DER",
    "GATEHOUSE_MQTT_INSECURE": "1: a broker without TLS is allowed",
    "GATEHOUSE_CONFIG": "the configuration file; else ~/.config/gatehouse/config.toml ($XDG_CONFIG_HOME)",
    "GATEHOUSE_MQTT_USER": "user at the broker",
    "GATEHOUSE_MQTT_PASSWORD_FILE": "file that holds the password at the broker",
    "GATEHOUSE_MQTT_PASSWORD": "the password itself; a file is safer",
    "GATEHOUSE_KEYS": "the key book; else ~/.config/gatehouse/keys.json ($XDG_CONFIG_HOME)",
    "GATEHOUSE_PASSPHRASE_FILE": "file that holds the passphrase of a protected key book",
    "GATEHOUSE_RECORDS": "the record store, a file or a database's URL; else ~/.local/share/gatehouse/records.db",
    "GATEHOUSE_SERVE_SECTION_KEY": "a setting of `gatehouse serve`, KEY of SECTION; goes before its configuration file",
    "GATEHOUSE_AIR": "simulated air in place of this computer's Bluetooth, as `gatehouse sim up` prints it",
    "GATEHOUSE_SITE": "set by `gatehouse sim run` for its program: the site's facts, JSON",
    "GATEHOUSE_ROOT": "set by `gatehouse sim run` for its program: where host_tools is",
    "GATEHOUSE_PACKAGES": "set by `gatehouse sim run` for its program: where the packages of host_tools are",
    "GATEHOUSE_TRACEBACK": "1: show the traceback of what was not foreseen",
    "GATEHOUSE_MICROPYTHON": "another interpreter for simulated boards",
    "GATEHOUSE_AIOBLE": "folder of upstream's aioble for simulated boards; for others if `boards/aioble.pins` has it",
    "GATEHOUSE_BUILD": "frozen: simulated boards of `make frozen`",
    "GATEHOUSE_TREE": "for a build of the firmware: the tree that boards/manifest.py takes",
    "GATEHOUSE_DEMO_JAM": "1: the door of `make demo` jams",
    "GATEHOUSE_FAULTS": "tests: the full counts of the fault report",
    "GATEHOUSE_SOAK": "tests: the full counts of `make soak`",
    "GATEHOUSE_SEED": "tests: repeat the draws of a run",
    "GATEHOUSE_EXAMPLES": "tests: how many examples a search draws",
    "GATEHOUSE_CASES": "set by tests for a program on a board",
    "GATEHOUSE_MEMORY": "set by tests: a folder in memory",
    "GATEHOUSE_SCRATCH": "set by tests: a folder of their own",
}
SETTINGS = {
    "wifi_ssid": "name of the Wi-Fi network (2.4 GHz)",
    "wifi_password": "its password; none for an open network",
    "mqtt_host": "name or address of the broker",
    "mqtt_port": "its port",
    "mqtt_user": "user at the broker",
    "mqtt_password": "password at the broker",
    "mqtt_base": "first level of all topics",
    "mqtt_ca": "certificate of the broker's authority, on the board: with it the connection is TLS",
    "mqtt_cert": "certificate of the gateway, on the board",
    "mqtt_key": "its private key, on the board",
    "insecure_broker": "allow a broker without TLS",
    "ip_address": "its own address and the size of its network, as 192.168.1.20/24; else by DHCP",
    "ip_router": "the router's address, with ip_address",
    "ip_dns": "a name server's address, with ip_address; else the router",
    "keepalive_s": "longest silence towards the broker",
    "ntp_hosts": "time servers, most of which must agree: names or addresses, each perhaps with `:port`",
    "ntp_host": "the one of an older release; it is the first of three then",
    "ntp_port": "port of those that say none",
    "name": "what the gateway is called",
    "unsigned_unlock": "let plain MQTT messages unlock",
    "remote_pin": "4 to 8 digits: a hub that cannot sign may unlock with them, over TLS only; none turns it off",
    "records_ack": "who says that records have arrived: a recorder, or the broker",
    "discovery": "tell Home Assistant what there is; off: take it back",
    "discovery_prefix": "first levels of Home Assistant's own topics",
    "records_clear": "take down a lock's unread flag once its records are read",
    "presence_s": "so long after its last advertisement a lock is near",
    "expiry_s": "a command without `exp` is good for so long",
    "unlock_per_min": "unlocks a minute, at most",
    "unlock_per_h": "unlocks an hour, at most",
    "other_per_min": "other requests a minute, at most",
    "clock_max_drift_s": "a lock's clock that is further off is set",
    "linger_ms": "a link stays up so long after its last command",
}

LOCK_SETTINGS = (
    "direction door_alarm_s lamp_s language lockout_s passage_auto_unlock passcode_display privacy reset_button sound "
    "tamper volume wrong_limit"
)

_TOP = """# Reference of the command line

Made from the code by `make reference`; a test compares it.

## Manners

* **JSON**: every command has `--json`. Standard output then holds one JSON document, or one per line for what goes on
  (enrolment, several locks), and nothing else. An error is `{"ok": false, "code", "msg"}`, with `todo`, `reason`,
  `ttlock` and `id` where there are; wrong options too (`usage`). What people read goes to standard error.
* **Tables** fit the terminal: addresses and times are never cut, names are shortened first. Where standard output is no
  terminal, a table is one line per row with tabs between the cells, the headings first.
* **Times** are read and shown by the lock's clock, with its zone; of what is about no lock, by this computer's.
* **Secrets**: keys, ekeys and files of issuers for which no `--to` is given are written to
  `~/.local/share/gatehouse/exports` (`$XDG_DATA_HOME`), readable by their owner only, never to the current folder.
* **Several locks**: `--all` (of the key book) or `--group NAME` in place of a lock's name; one after the other, and the
  status is that of the first that failed. Opening several doors asks first (`--yes`). `gatehouse group` keeps groups.
* **Completion**: `source <(gatehouse completion bash)` in ~/.bashrc; `source <(gatehouse completion zsh)` in ~/.zshrc,
  after `compinit`; `gatehouse completion fish > ~/.config/fish/completions/gatehouse.fish`. Names of locks come from
  the key book, those of gateways from the last `gatehouse gateway list`.
"""


def commands(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    """(words, command) of every command that does something, groups left out."""
    below = getattr(command, "commands", None)
    if below is None:
        yield " ".join(path), command
        return
    for name, each in below.items():
        yield from commands(each, (*path, name))


def page() -> str:
    """The whole page."""
    lines = [_TOP, "## Exit status", "", "| status | meaning | codes |", "|---|---|---|"]
    for status, meaning in statuses.MEANING.items():
        codes = ["`%s`" % code for code, each in statuses.BY_CODE.items() if each == status]
        lines.append("| %d | %s | %s |" % (status, meaning, ", ".join(codes)))
    lines += ["", "## Dates, days and hours", "", "| what | how it is written |", "|---|---|"]
    lines += ["| %s | %s |" % row for row in times.GRAMMAR.items()]
    lines += ["", "## Variables", "", "| variable | meaning |", "|---|---|"]
    lines += ["| `%s` | %s |" % row for row in VARIABLES.items()]
    lines += ["", "## Settings of a gateway", "", "| setting | default | unit | meaning |", "|---|---|---|---|"]
    for each in TABLE._settings:
        default = "`%s`" % each.default if isinstance(each.default, str | int) else "has to be given"
        if isinstance(each.default, list):
            default = ", ".join("`%s`" % one for one in each.default)
        default = "" if each.default == "" else default
        lines.append("| `%s` | %s | %s | %s |" % (each.name, default, each.unit, SETTINGS[each.name]))
    lines += [
        "",
        "## Settings of a lock",
        "",
        "`gatehouse setting get`, `set`: " + ", ".join("`%s`" % name for name in LOCK_SETTINGS.split()) + ".",
        "",
    ]
    lines += ["## Commands", "", "Every command also has `-h`, `--help` and `--json`."]
    for words, command in commands(typer.main.get_command(app)):
        lines += ["", *_about(words, command)]
    return "\n".join(lines) + "\n"


def _about(words: str, command: Any) -> Iterator[str]:
    arguments = [each for each in command.params if each.param_type_name == "argument"]
    shown = [each.metavar or each.name.upper() if each.required else "[%s]" % each.name.upper() for each in arguments]
    yield "### `%s`" % " ".join(["gatehouse", words, *shown])
    yield ""
    yield " ".join((command.help or "").split())
    options = [each for each in command.params if each.param_type_name == "option" and each.name != "as_json"]
    if options:
        yield ""
    for each in options:
        names = ", ".join("`%s`" % name for name in [*each.opts, *each.secondary_opts])
        yield "* %s: %s" % (names, " ".join((each.help or "").split()))


if __name__ == "__main__":
    out.lines(page().rstrip("\n"))
