"""Floor 1, the symbolic language: objects, containers, functors, wrapping, walks, comparison, edits by path."""

from pgjax.symbolic._compare import eq, hash_
from pgjax.symbolic._compound import Compound, compound
from pgjax.symbolic._containers import Dict, List, symbolic
from pgjax.symbolic._detour import detour
from pgjax.symbolic._field import Field, FieldInfo, field
from pgjax.symbolic._format import format_, format_leaf
from pgjax.symbolic._functor import Functor, functor
from pgjax.symbolic._nodes import children
from pgjax.symbolic._object import Object
from pgjax.symbolic._open import is_abstract, is_concrete, is_partial, missing, nondefault
from pgjax.symbolic._order import gt, lt, ne
from pgjax.symbolic._placeholder import MISSING, Placeholder
from pgjax.symbolic._pytree import stack, structure, unstack
from pgjax.symbolic._query import Selection, contains, get, query
from pgjax.symbolic._registry import register_alias, register_function
from pgjax.symbolic._resolve import inferred, inherited, resolve
from pgjax.symbolic._symbolize import symbolize
from pgjax.symbolic._traverse import Cursor, TraverseAction, cursor, traverse
from pgjax.symbolic._update import Insertion, rebind
from pgjax.symbolic._wrap import Wrapped, build, wrap, wrap_module

__all__ = [
    'MISSING',
    'Compound',
    'Cursor',
    'Dict',
    'Field',
    'FieldInfo',
    'Functor',
    'Insertion',
    'List',
    'Object',
    'Placeholder',
    'Selection',
    'TraverseAction',
    'Wrapped',
    'build',
    'children',
    'compound',
    'contains',
    'cursor',
    'detour',
    'eq',
    'field',
    'format_',
    'format_leaf',
    'functor',
    'get',
    'gt',
    'hash_',
    'inferred',
    'inherited',
    'is_abstract',
    'is_concrete',
    'is_partial',
    'lt',
    'missing',
    'ne',
    'nondefault',
    'query',
    'rebind',
    'register_alias',
    'register_function',
    'resolve',
    'stack',
    'structure',
    'symbolic',
    'symbolize',
    'traverse',
    'unstack',
    'wrap',
    'wrap_module',
]
