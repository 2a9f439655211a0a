"""Floor 3, pictures: values in terminals, in notebooks and on pages, two of them compared, and plots of searches."""

from pgjax.view import _methods as _methods, plot
from pgjax.view._compare import Comparison, compare
from pgjax.view._page import to_html, write_html
from pgjax.view._show import show

__all__ = ['Comparison', 'compare', 'plot', 'show', 'to_html', 'write_html']
