"""Completion in bash, zsh and fish: `gatehouse completion SHELL` prints what a shell has to read; names of locks and
gateways are completed. Asks nobody and no broker: a protected key book completes nothing.
"""

import contextlib
import json
from typing import Annotated

import typer

from host_tools import json_text, text
from host_tools.errors import HostError
from host_tools.owner import places
from host_tools.owner.keybook import KeyBook
from host_tools.screen import out

SHELLS = ("bash", "zsh", "fish")
# Typer's own puts "Front door" on the line as two words
_BASH = """_gatehouse_completion() {
    local IFS=$'\\n' each
    COMPREPLY=()
    while read -r each; do
        [ -n "$each" ] && COMPREPLY+=( "$(printf %q "$each")" )
    done < <(env COMP_WORDS="${COMP_WORDS[*]}" COMP_CWORD=$COMP_CWORD _GATEHOUSE_COMPLETE=complete_bash "$1")
    return 0
}
complete -o default -F _gatehouse_completion gatehouse"""


def locks(incomplete: str) -> list[str]:
    """Names of the key book's locks that begin with what was typed."""
    try:
        known = [each.name for each in KeyBook().entries()]
    except HostError:
        return []
    return _fitting(known, incomplete)


def gateways(incomplete: str) -> list[str]:
    """Names, else ids, of the gateways that were at the broker when a command last looked."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        known = json_text.load(places.gateways())
        return _fitting([text.tidy(name) or ident for ident, name in known.items()], incomplete)
    return []


def remember(seen: dict[str, str]) -> None:
    """Keep ids and names of gateways; what cannot be written is not kept."""
    path = places.gateways()
    with contextlib.suppress(OSError, ValueError):
        told = json.dumps(seen)
        if not path.exists() or path.read_text() != told:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            path.write_text(told)


def _fitting(names: list[str], incomplete: str) -> list[str]:
    return [each for each in names if text.key(each).startswith(text.key(incomplete))]


def completion(
    shell: Annotated[str, typer.Argument(help="bash, zsh or fish", autocompletion=lambda incomplete: list(SHELLS))],
) -> dict:
    """Print what makes a shell complete commands, options and names: `source <(gatehouse completion bash)`."""
    from typer._completion_shared import get_completion_script

    if shell not in SHELLS:
        raise HostError("bad_request", "no completion for %r" % text.printable(shell), "choose bash, zsh or fish")
    script = _BASH
    if shell != "bash":
        script = get_completion_script(prog_name="gatehouse", complete_var="_GATEHOUSE_COMPLETE", shell=shell)
    out.lines(script)
    return {"ok": True, "shell": shell, "script": script}
