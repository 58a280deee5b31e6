"""Groups of options that many commands have: a command takes a group as one parameter, `App` gives it the options."""

import dataclasses
import functools
import inspect
from collections.abc import Callable
from typing import Any, get_type_hints

import typer

from host_tools.cli.ending import orderly


@dataclasses.dataclass
class OptionGroup:
    """Base of the dataclasses whose fields are options."""


class App(typer.Typer):
    """Typer whose commands may take option groups."""

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
    for each in inspect.signature(function).parameters.values():
        if each.name not in groups:
            parameters.append(_parameter(each.name, each.default, hints[each.name]))
    for group in groups.values():
        kinds = get_type_hints(group, include_extras=True)
        parameters += [_parameter(each.name, each.default, kinds[each.name]) for each in dataclasses.fields(group)]

    @functools.wraps(function)
    def call(ctx: typer.Context, **values: Any) -> Any:
        values["no_wait"] = values.get("no_wait") or ctx.find_root().params.get("no_wait")  # of `gatehouse` itself
        for name, group in groups.items():
            values[name] = group(**{each.name: values.pop(each.name) for each in dataclasses.fields(group)})
        values.pop("no_wait", None)
        with orderly(ctx.info_name):
            return function(**values)

    call.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    call.__annotations__ = {each.name: each.annotation for each in parameters}
    return call
