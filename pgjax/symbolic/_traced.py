"""A note for JAX's error where Python asks for the value of a traced leaf: which leaves, and the cure."""

from __future__ import annotations

from typing import Any

import jax

from pgjax._keypath import from_jax_keys
from pgjax.symbolic._spec import is_traced

ASKED_FOR_A_VALUE = (  # how JAX refuses Python the value of a tracer
    jax.errors.ConcretizationTypeError,
    jax.errors.TracerArrayConversionError,
    jax.errors.TracerIntegerConversionError,
)
_MOST_PATHS = 8
_TRACED = 'traced leaves of this '  # how the note begins


def note_traced(error: Exception, value: Any) -> None:
    """Notes, on JAX's error for using a tracer as a Python value, which leaves of `value` are traced.

    The leaf itself where the tracer is one; what was computed from leaves does not say from which. It runs only
    where user code that pgjax called has failed, so that nothing is spent on code that works.
    """
    if not isinstance(error, ASKED_FOR_A_VALUE):
        return
    leaves = [(path, leaf) for path, leaf in jax.tree_util.tree_leaves_with_path(value) if is_traced(leaf)]
    if not leaves:
        return
    asked = _tracer_of(error)
    found = [path for path, leaf in leaves if leaf is asked] or [path for path, _ in leaves]
    names = ', '.join(str(from_jax_keys(path)) or 'the root' for path in found[:_MOST_PATHS])
    more = f' and {len(found) - _MOST_PATHS} more' if len(found) > _MOST_PATHS else ''
    error.add_note(
        f'{_TRACED}{type(value).__name__}: {names}{more}. Python control flow needs a value that is '
        'structure: declare the field with pg.field(static=True), or decide by jnp.where or jax.lax.cond.'
    )


def words_of(error: Exception) -> str:
    """What an error says; where traced leaves are noted on it, the note, which names the cure."""
    return next((note for note in getattr(error, '__notes__', ()) if note.startswith(_TRACED)), str(error))


def _tracer_of(error: Exception) -> Any:
    """The tracer whose value was asked for: JAX's errors do not carry it, the methods that raise them do."""
    asked, step = None, error.__traceback__
    while step is not None:
        asked, step = step.tb_frame.f_locals.get('self', asked), step.tb_next
        if is_traced(asked):
            return asked
    return None
