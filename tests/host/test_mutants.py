"""`make mutate` is run seldom: here it is seen that it still finds every table, and that each mutant is one."""

import ast

from tests import mutate


def test_each_table_has_rows_and_each_mutant_is_a_change_that_compiles() -> None:
    families = (mutate._commands, mutate._authority, mutate._bits, mutate._operations, mutate._features, mutate._panel)
    for family in families:
        made = list(family())
        assert len(made) > 5, family.__name__
        for mutant in made:
            assert mutant.text != (mutate.ROOT / mutant.path).read_text(), mutant.name
            ast.parse(mutant.text)
