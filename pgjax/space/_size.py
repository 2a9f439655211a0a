"""Numbers of points as text. Python refuses to print ints of more than 4300 digits, and nobody reads them."""

from __future__ import annotations

import math

_MOST_DIGITS = 15


def size_text(size: int | float, most_digits: int = _MOST_DIGITS) -> str:
    """All digits of a number of points, or where there are too many, the first three and the power of ten.

    >>> size_text(1234), size_text(12345 * 10**5000), size_text(math.inf)
    ('1234', '1.23e5004', 'inf')
    """
    if not isinstance(size, int) or size < 10**most_digits:
        return str(size)
    power = int((size.bit_length() - 1) * math.log10(2))  # or one less than the power
    first = size // 10 ** (power - 2)
    if first >= 1000:
        first, power = first // 10, power + 1
    return f'{first // 100}.{first % 100:02}e{power}'
