"""Controllers made of controllers."""

from pgjax.search._wrappers._chain import Chain
from pgjax.search._wrappers._dedup import Dedup
from pgjax.search._wrappers._portfolio import Portfolio
from pgjax.search._wrappers._prior import Prior

__all__ = ['Chain', 'Dedup', 'Portfolio', 'Prior']
