"""The methods by which terminals, notebooks and treescope ask a symbolic value for its picture.

They are given to the classes here, so that the language knows nothing of its pictures; and each imports what it
draws with when it is called. There is no `_repr_html_`: treescope asks for that one itself, and would never end.
"""

from __future__ import annotations

from collections.abc import Container
from typing import Any

from pgjax.symbolic import Dict, List, Object
from pgjax.view._compare import Comparison
from pgjax.view._page import fragment
from pgjax.view._terminal import rich_console
from pgjax.view._tree import tree


def mimebundle(
    self: Any, include: Container[str] | None = None, exclude: Container[str] | None = None
) -> dict[str, str]:
    """`_repr_mimebundle_`: what Jupyter and its kin show, as HTML and as plain text; a class's own HTML goes first."""
    makers = {'text/plain': str} if hasattr(type(self), '_repr_html_') else {'text/html': fragment, 'text/plain': str}
    wanted = [kind for kind in makers if (not include or kind in include) and (not exclude or kind not in exclude)]
    return {kind: makers[kind](self) for kind in wanted}


for _cls in (Object, List, Dict):
    _cls.__rich_console__ = rich_console  # type: ignore[attr-defined]
    _cls.__treescope_repr__ = tree  # type: ignore[attr-defined]
for _cls in (Object, List, Dict, Comparison):
    _cls._repr_mimebundle_ = mimebundle  # type: ignore[attr-defined]
