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
from typer.models import ArgumentInfo

from host_tools import screen
from host_tools.cli import common, ending, shared, statuses
from host_tools.errors import HostError
from host_tools.owner import groups
from host_tools.owner.keybook import Entry


@dataclasses.dataclass
class OptionGroup:
    """Base of the dataclasses whose fields are options."""


All = Annotated[bool, typer.Option("--all", help="Every lock of the key book, one after the other")]
Group = Annotated[str, typer.Option("--group", help="The locks of this group (`gatehouse group list`)")]
Sure = Annotated[bool, typer.Option("--yes", help="Do not ask before several doors are opened")]


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

    def command(self, *args: Any, bulk: bool = False, opens: bool = False, **options: Any) -> Callable:
        """As Typer's. `bulk`: also for several locks, by --all and --group; one that `opens` doors asks first then."""
        register = super().command(*args, **options)

        def decorate(function: Callable) -> Callable:
            register(_spread(function, bulk or opens, opens))
            return function

        return decorate


def _parameter(name: str, default: Any, annotation: Any) -> inspect.Parameter:
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)


def _spread(function: Callable, bulk: bool = False, opens: bool = False) -> Callable:
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
    needed = [each for each in own if _is_argument(hints[each]) and own[each].default is inspect.Parameter.empty]
    if bulk:
        for at, each in enumerate(parameters):  # with --all they stand where the lock's name is left out
            if each.name in needed:
                parameters[at] = each.replace(default=None)
        first = next(at for at, each in enumerate(parameters) if each.name == "lock")
        parameters[first] = _parameter("lock", "", hints["lock"])
        parameters += [_parameter("all_", False, All), _parameter("group", "", Group)]
        parameters += [_parameter("is_sure", False, Sure)] if opens else []
    if "as_json" not in own:
        parameters.append(_parameter("as_json", False, shared.Json))

    @functools.wraps(function)
    def call(ctx: typer.Context, **values: Any) -> Any:
        values["no_wait"] = values.get("no_wait") or ctx.find_root().params.get("no_wait")  # of `gatehouse` itself
        for name, group in groups.items():
            values[name] = group(**{each.name: values.pop(each.name) for each in dataclasses.fields(group)})
        values.pop("no_wait", None)
        as_json = values["as_json"] if "as_json" in own else values.pop("as_json")
        given = {each: called for each, called in names.items() if _is_given(ctx, each)}
        if given:
            with screen.for_machines(as_json), ending.orderly(ctx.info_name):
                screen.is_streaming()  # without a fault there is nothing to say yet
                values |= {each: called.taken(values[each] or "") for each, called in given.items()}
        several = None
        if bulk:
            chosen, sure = (values.pop("all_"), values.pop("group")), values.pop("is_sure", not opens)
            with screen.for_machines(as_json and any(chosen)), ending.orderly(ctx.info_name):
                several = _locks(ctx, values, positional, *chosen, sure)
                missing = [each for each in needed if values[each] is None]
                if missing:
                    raise HostError("usage", "missing argument %s" % missing[0].upper(), "see -h")
                screen.is_streaming()
        if several is None:
            _run(function, ctx.info_name, values, as_json)
            return
        with shared.for_several():
            raise typer.Exit(_run_each(function, ctx.info_name, values, as_json, several))

    positional = [each for each in own if _is_argument(hints[each])]
    names = {each: called for each in own for called in shared.names_in(hints[each])}
    call.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    call.__annotations__ = {each.name: each.annotation for each in parameters}
    return call


def _is_given(ctx: typer.Context, name: str) -> bool:
    """Whether the command was written with this option or argument, be it an empty one."""
    source = ctx.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"


def _is_argument(hint: Any) -> bool:
    return any(isinstance(each, ArgumentInfo) for each in getattr(hint, "__metadata__", ()))


def _run(function: Callable, command: str | None, values: dict, as_json: bool, lock: dict | None = None) -> None:
    """One command, or its part for one of several locks."""
    with screen.for_machines(as_json, lock, lock is not None) as made, ending.orderly(command):
        try:
            result = function(**values)
        except typer.Exit as end:
            if made is not None and end.exit_code and made.error is None and not made.kept:
                made.error = HostError("cancelled", "not done").to_json()
            raise
        if made is not None and result is not None:
            made.kept.append(result)


def _run_each(function: Callable, command: str | None, values: dict, as_json: bool, locks: list[Entry]) -> int:
    """The same for several locks -> the status of the first that failed. An interruption ends it."""
    status = 0
    for entry in locks:
        try:
            _run(function, command, {**values, "lock": entry.id}, as_json, {"lock": entry.id, "name": entry.name})
        except typer.Exit as end:
            status = status or end.exit_code
            if end.exit_code == statuses.STOPPED:
                return end.exit_code
    return status


def _locks(
    ctx: typer.Context, values: dict, positional: list[str], is_all: bool, group: str, is_sure: bool
) -> list[Entry] | None:
    """The locks of --all or --group; None for one lock by its name. Arguments after the lock's move up. HostError."""
    if not (is_all or group):
        if not values["lock"]:
            raise HostError("bad_request", "an empty name is not the name of a lock", "give a name, --all or --group")
        return None
    if is_all and group:
        raise HostError("bad_request", "--all or --group, not both")
    given = [values[name] for name in positional if values[name] not in (None, "")]
    if len(given) == len(positional):
        raise HostError("bad_request", "a lock's name beside --all or --group", "leave one of them out")
    kinds = {each.name: each for each in ctx.command.params}
    for name, value in zip(positional[1:], given, strict=False):
        try:
            values[name] = kinds[name].process_value(ctx, value)
        except TyperException as error:
            raise HostError("usage", error.format_message(), "see -h")
    known = common.key_book().entries()
    wanted = groups.members(known, group) if group else known
    if not wanted:
        raise HostError("unknown_lock", "there are no locks in the key book", "see `gatehouse keys list`")
    if not is_sure and len(wanted) > 1:
        screen.confirm("open %d doors: %s?" % (len(wanted), ", ".join(each.name for each in wanted)), abort=True)
    return wanted
