"""Decoding as generated code: the plan of a space written out once as Python, without any interpretation.

It does what `_decode.decode_one` does, some ten times faster. Only numbers, field names (identifiers by Python's
own grammar) and names made here enter the source; every value of the user is bound to a name.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from pgjax.space import _decode
from pgjax.space._plan import Choice, Computed, Constant, Inner, Many, Node, Number, Plain
from pgjax.space._scales import SMALLEST, float_value, int_value
from pgjax.symbolic import Dict, List, Object
from pgjax.symbolic._bind import bind

MOST_NODES = 20_000  # a larger plan takes longer to compile than interpreting saves

Decoder = Callable[[list[int], list[float]], Any]


def compile_decoder(root: Node) -> Decoder:
    """A function from the choices and floats of one point to its object."""
    writer = _Writer()
    try:
        source = writer.function('decode', root)
    except _TooLargeError:
        return lambda choices, floats: _decode.decode_one(root, choices, floats)
    exec(compile('\n'.join([*writer.functions, source]), '<decoder of a pgjax space>', 'exec'), writer.names)
    return writer.names['decode']


class _TooLargeError(Exception):
    """The plan has more than MOST_NODES nodes."""


class _Writer:
    """Writes one function for the plan, and one for each branch that is more than a constant."""

    def __init__(self) -> None:
        self.names: dict[str, Any] = {
            '_new': object.__new__,
            '_tuple': tuple.__new__,
            '_List': List,
            '_bind': bind,
            '_Dict': Dict,
            '_empty': dict.__new__,
            '_fill': dict.update,
            '_min': min,
            '_max': max,
            '_exp': math.exp,
        }
        self.functions: list[str] = []
        self.count = 0

    def bound(self, value: Any, letter: str) -> str:
        """A new name for a value of the user."""
        name = f'{letter}{len(self.names)}'
        self.names[name] = value
        return name

    def function(self, name: str, node: Node) -> str:
        lines: list[str] = []
        result = self.expression(node, lines)
        return '\n '.join([f'def {name}(c, f):', *lines, f'return {result}'])

    def expression(self, node: Node, lines: list[str]) -> str:
        """An expression for the value of a node; what must happen before goes to `lines`."""
        self.count += 1
        if self.count > MOST_NODES:
            raise _TooLargeError
        if isinstance(node, Constant):
            return self.bound(node.value, 'k')
        if isinstance(node, Choice):
            return self.choice(node)
        if isinstance(node, Number):
            return self.number(node)
        if isinstance(node, Many):
            items = ', '.join(self.expression(s, lines) for s in node.slots)
            return f'({items},)' if node.as_tuple else f'_tuple(_List, ({items},))'
        if isinstance(node, Computed):
            source = self.expression(node.source, lines)
            return f'{self.bound(lambda value: _decode.compute(node, value), "k")}({source})'
        assert isinstance(node, Inner)
        return self.inner(node, lines)

    def choice(self, node: Choice) -> str:
        if isinstance(node.branches, Plain):
            return f'{self.bound(tuple(node.branches.values), "t")}[c[{node.column}]]'
        made = []
        for branch in node.branches:
            name = self.bound(None, 'b')
            self.functions.append(self.function(name, branch))
            made.append(name)
        table = self.bound(None, 't')
        self.functions.append(f'{table} = ({", ".join(made)},)')
        return f'{table}[c[{node.column}]](c, f)'

    def number(self, node: Number) -> str:
        gene = f'c[{node.column}]'
        if node.kind == 'float':
            return self.float(node)
        if isinstance(node.low, float):
            return f'{self.bound(lambda g: int_value(g, node), "k")}({gene})'
        value = f'{gene} * {int(node.step)} + {int(node.low)}'
        return f'float({value})' if node.as_float else f'({value})'

    def float(self, node: Number) -> str:
        """What `float_value` does, with its constants worked out where the scale has few."""
        gene, low, high = f'f[{node.column}]', float(node.low), float(node.high)
        if node.scale == 'linear':
            inside = f'{low!r} + u * {high - low!r}'
        elif node.scale == 'log':
            inside = f'_exp(u * {math.log(high / low)!r} + {math.log(low)!r})'
        else:
            return f'{self.bound(lambda u: float_value(u, node), "k")}({gene})'
        ends = f'{self.bound(node.low, "k")} if u < {SMALLEST!r} else {self.bound(node.high, "k")}'
        within = f'_min(_max({inside}, {low!r}), {high!r})'
        return f'({within} if {SMALLEST!r} <= (u := {gene}) < 1.0 else {ends})'

    def inner(self, node: Inner, lines: list[str]) -> str:
        template = node.template
        parts = {key: self.expression(part, lines) for key, part in node.parts}
        if isinstance(template, Object) and not node.checks:
            return self.object(template, parts, lines)
        if type(template) is List and not node.checks:
            items = [parts.get(i) or self.bound(item, 'k') for i, item in enumerate(template)]
            return f'_tuple(_List, ({", ".join(items)},))'
        if type(template) is Dict:
            made = self.bound(None, 'v')
            entries = [
                f'{self.bound(key, "k")}: {parts.get(key) or self.bound(item, "k")}' for key, item in template.items()
            ]
            lines.append(f'{made} = _empty(_Dict); _fill({made}, {{{", ".join(entries)}}})')
            return made
        entries = ', '.join(f'{self.bound(key, "k")}: {value}' for key, value in parts.items())
        return f'{self.bound(lambda made: _decode.assemble(node, made), "k")}({{{entries}}})'

    def object(self, template: Object, parts: dict[str, str], lines: list[str]) -> str:
        cls = type(template)
        made, state = self.bound(None, 'v'), self.bound(None, 'd')
        lines.append(f'{made} = _new({self.bound(cls, "k")}); {state} = {made}.__dict__')
        for name in cls.__pg_fields__:
            lines.append(f'{state}[{name!r}] = {parts.get(name) or self.bound(template.__dict__[name], "k")}')
        if cls.__pg_derives__:
            lines.append(f'_bind({made})')
        return made
