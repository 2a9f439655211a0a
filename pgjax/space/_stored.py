"""Points and spaces in files. A space is stored as its template, so that only what a template may hold is loaded."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np

from pgjax._errors import DnaError, EncodeError, show
from pgjax.io import register_codec
from pgjax.space._dna import DNA
from pgjax.space._space import Space, search_space


def _store_dna(dna: DNA) -> dict[str, Any]:
    return {'choices': dna.choices, 'floats': dna.floats}


def _load_dna(stored: Any) -> DNA:
    """The DNA of what a file holds: arrays of the right types and of the same leading axes, or nothing."""
    parts = stored if isinstance(stored, dict) and stored.keys() == {'choices', 'floats'} else {}
    for name, dtype in (('choices', np.int32), ('floats', np.float32)):
        array = parts.get(name)
        if not isinstance(array, (np.ndarray, jax.Array)) or array.dtype != dtype or not array.ndim:
            raise DnaError(f'{name} of a stored DNA must be an array of dtype {dtype.__name__}, got {show(array)}.')
    if parts['choices'].shape[:-1] != parts['floats'].shape[:-1]:
        shapes = f'choices {list(parts["choices"].shape)}, floats {list(parts["floats"].shape)}'
        raise DnaError(f'The leading axes of a stored DNA differ: {shapes}.')
    return DNA(parts['choices'], parts['floats'])


def _store_space(space: Space) -> Any:
    if space != search_space(space.template) or space.selects is not None:
        raise EncodeError('a space of some of its holes, or of running code, has no stored form; store the template')
    return space.template


register_codec(DNA, 'pgjax.DNA', encode=_store_dna, decode=_load_dna)
register_codec(Space, 'pgjax.Space', encode=_store_space, decode=search_space)
