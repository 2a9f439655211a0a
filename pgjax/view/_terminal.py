"""Values in a terminal: the code that builds them, laid out to its width and coloured."""

from __future__ import annotations

import dataclasses
import re
from typing import TYPE_CHECKING, Any

from pgjax._errors import shorten
from pgjax.edit import Diff
from pgjax.symbolic import Selection, format_
from pgjax.view._words import safe

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderResult
    from rich.text import Text

# What code is made of. A name before a bracket is a class or, in small letters, a hole or a function. Each token is
# read once and never read back (`*+`), so that no text, of whatever foreign object, takes more than linear time.
_TOKENS = re.compile(
    r"""(?P<string>'(?:\\.|[^'\\\n])*+'?|"(?:\\.|[^"\\\n])*+"?)"""
    r'|(?P<open>(?<![\w.])(?:MISSING\b|[a-z_]\w*+(?=\()))'
    r'|(?P<cls>(?<![\w.])[A-Za-z_][\w.]*+(?=\())'
    r'|(?P<field>(?<![\w.])[A-Za-z_]\w*+(?==))'
    r'|(?P<constant>\b(?:None|True|False)\b)'
    r'|(?P<number>(?<![\w.])-?\d[\w.]*+(?:(?<=e)[+-]\d++)?)'
)
_STYLES = {
    'string': 'green',
    'open': 'bold magenta',
    'cls': 'bold cyan',
    'field': 'yellow',
    'constant': 'italic blue',
    'number': 'blue',
}
_MOST_COLOURED = 100_000  # characters: rich takes a second for some hundred thousand
_MOST_OF_A_LINE = 10_000  # characters: what is longer, a text of megabytes, loses its middle
_DIFF_STYLES = {'-': 'red', '+': 'green'}


def highlight(code: str) -> Text:
    """Code as rich text: character for character, but for those that could drive the terminal."""
    from rich.text import Text

    text = Text(safe(code), overflow='fold')
    for match in _TOKENS.finditer(text.plain, 0, _MOST_COLOURED):
        text.stylize(_STYLES[match.lastgroup or ''], *match.span())
    return text


def highlight_diff(lines: str) -> Text:
    """The lines of a difference: old ones red, new ones green."""
    from rich.text import Text

    styled = [Text(line, style=_DIFF_STYLES.get(line[:1], '')) for line in safe(lines).split('\n')]
    return Text('\n', overflow='fold').join(styled)


@dataclasses.dataclass(frozen=True, eq=False)
class Terminal:
    """Any value as rich takes it: `rich.print(Terminal(x))`. Symbolic values need no such wrapping."""

    value: Any

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """The value, as wide as there is room."""
        del console
        value = self.value
        if isinstance(value, Diff):
            yield highlight_diff(str(value))
            return
        if isinstance(value, Selection):
            value = {str(path): part for path, part in value.items()}
        lines = format_(value, width=options.max_width).split('\n')
        yield highlight('\n'.join(shorten(line, _MOST_OF_A_LINE) for line in lines))


def rich_console(self: Any, console: Console, options: ConsoleOptions) -> RenderResult:
    """`__rich_console__` of symbolic values."""
    return Terminal(self).__rich_console__(console, options)
