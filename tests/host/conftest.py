"""The command tree of `gatehouse` is built once for a process, as its user's is; Typer's runner builds it at each call,
which takes ten times what a command does."""

import functools

import typer.testing

typer.testing._get_command = functools.cache(typer.testing._get_command)  # type: ignore[attr-defined]
