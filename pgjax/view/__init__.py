"""Floor 3, pictures: values in terminals, in notebooks and on pages, and two of them compared."""

from pgjax.view import _methods as _methods
from pgjax.view._compare import Comparison, compare
from pgjax.view._page import to_html, write_html
from pgjax.view._show import show

__all__ = ['Comparison', 'compare', 'show', 'to_html', 'write_html']
