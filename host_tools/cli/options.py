"""Groups of options that many commands have: a command takes a group as one parameter, `App` gives it the options."""

import dataclasses
import functools
import inspect
import os
import sys
from collections.abc import Callable, Sequence
from typing import Annotated, Any, get_type_hints

import typer
from typer.core import TyperGroup
from typer.exceptions import TyperException

from host_tools import screen
from host_tools.cli import ending
from host_tools.errors import HostError


@dataclasses.dataclass
class OptionGroup:
    """Base of the dataclasses whose fields are options."""


Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON, errors too, and nothing else")]


class Root(TyperGroup):
    """The command itself: with --json also what is wrong with the words of a command becomes JSON."""

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        windows_expand_args: bool = True,
        **extra: Any,
    ) -> Any:
        words = list(sys.argv[1:] if args is None else args)
        wanted = "--json" in (words[: words.index("--")] if "--" in words else words)
        run = super().main
        if "_GATEHOUSE_COMPLETE" in os.environ:  # a shell asks, as `completion` told it to
            from typer._completion_classes import completion_init

            completion_init()
        if not standalone_mode or not wanted:
            return run(args, prog_name, complete_var, standalone_mode, windows_expand_args, **extra)
        with screen.for_machines(True) as made:
            assert made is not None
            try:
                status = run(args, prog_name, complete_var, False, windows_expand_args, **extra)
                made.is_stream = True  # the command has said what there is to say
            except TyperException as error:
                made.error = {"ok": False, "code": "usage", "msg": error.format_message()}
                ending.tell(error.format_message(), True)
                status = error.exit_code
        sys.exit(status if isinstance(status, int) else 0)


class App(typer.Typer):
    """Typer whose commands may take option groups, have -h and --json, and end as `ending` says.

    What a command returns is its document for --json, unless it printed one itself.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(context_settings={"help_option_names": ["-h", "--help"]}, **options)

    def command(self, *args: Any, **options: Any) -> Callable:
        register = super().command(*args, **options)

        def decorate(function: Callable) -> Callable:
            register(_spread(function))
            return function

        return decorate


def _parameter(name: str, default: Any, annotation: Any) -> inspect.Parameter:
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)


def _spread(function: Callable) -> Callable:
    """`function` as Typer wants it: the fields of each option group in place of the group."""
    hints = get_type_hints(function, include_extras=True)
    groups = {name: hint for name, hint in hints.items() if isinstance(hint, type) and issubclass(hint, OptionGroup)}
    parameters = [_parameter("ctx", inspect.Parameter.empty, typer.Context)]
    own = inspect.signature(function).parameters
    for each in own.values():
        if each.name not in groups:
            parameters.append(_parameter(each.name, each.default, hints[each.name]))
    for group in groups.values():
        kinds = get_type_hints(group, include_extras=True)
        parameters += [_parameter(each.name, each.default, kinds[each.name]) for each in dataclasses.fields(group)]
    if "as_json" not in own:
        parameters.append(_parameter("as_json", False, Json))

    @functools.wraps(function)
    def call(ctx: typer.Context, **values: Any) -> Any:
        values["no_wait"] = values.get("no_wait") or ctx.find_root().params.get("no_wait")  # of `gatehouse` itself
        for name, group in groups.items():
            values[name] = group(**{each.name: values.pop(each.name) for each in dataclasses.fields(group)})
        values.pop("no_wait", None)
        as_json = values["as_json"] if "as_json" in own else values.pop("as_json")
        with screen.for_machines(as_json) as made, ending.orderly(ctx.info_name):
            try:
                result = function(**values)
            except typer.Exit as end:
                if made is not None and end.exit_code and made.error is None and not made.kept:
                    made.error = HostError("cancelled", "not done").to_json()
                raise
            if made is not None and result is not None:
                made.kept.append(result)

    call.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    call.__annotations__ = {each.name: each.annotation for each in parameters}
    return call
