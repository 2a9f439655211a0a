"""`pg.Space`: a static, hashable layout of decisions, and everything that can be done with its points."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, TypeVar

import jax

from pgjax._errors import DnaError, PlaceholderError, SpaceError, show
from pgjax.space import _check, _decode, _encode, _genes, _layout, _trace, _versions
from pgjax.space._compile import Decoder, compile_decoder
from pgjax.space._dna import DNA
from pgjax.space._groups import Group, partition, stacked
from pgjax.space._layout import Where
from pgjax.space._parts import Partition
from pgjax.space._plan import ConstrainedGroup, Decision
from pgjax.space._points import PointMethods
from pgjax.symbolic import List, Object, Placeholder, hash_
from pgjax.symbolic._resolve import Inferred, resolve, unresolved

T = TypeVar('T')


@jax.tree_util.register_static
class Space(PointMethods):
    """The points that a template with holes can become; made by `pg.search_space`.

    It is static: JAX takes it as part of a program, and equal templates give equal spaces.

    Attributes:
      template: the object with holes.
      decisions: its decisions in order: id, name, kind, arity or range, conditions.
      num_choices: C, the number of columns of `DNA.choices`.
      num_floats: F, the number of columns of `DNA.floats`.
      constrained_groups: the choice columns that are distinct or sorted together: the slots of each `manyof`.

    >>> import jax
    >>> import pgjax as pg
    >>> space = pg.search_space(pg.Dict(units=pg.oneof([32, 64]), lr=pg.floatv(1e-4, 1e-1, scale='log')))
    >>> space, [decision.id for decision in space.decisions]
    (Space(size=inf, num_choices=1, num_floats=1), ['units', 'lr'])
    >>> dna = space.random(jax.random.key(0), (8,))
    >>> dna.choices.shape, dna.floats.shape, len(space.decode(dna))
    ((8, 1), (8, 1), 8)
    >>> space.decode(space.from_dict({'units': 1, 'lr': 0.1}))
    {'units': 64, 'lr': 0.1}
    """

    template: Any
    decisions: tuple[Decision, ...]
    num_choices: int
    num_floats: int
    constrained_groups: tuple[ConstrainedGroup, ...]

    def __init__(self, template: Any, where: Where = None):
        self.template = template
        self._is_whole = where is None
        self.selects: Where = None  # of a traced space: which holes of the running code belong to it
        self._layout = _layout.build(template, where)
        self._tables = _genes.tables(self._layout)
        self.decisions = self._layout.decisions
        self.num_choices = self._layout.num_choices
        self.num_floats = self._layout.num_floats
        self.constrained_groups = self._layout.groups
        self._hash = hash((hash_(template), tuple(d.id for d in self.decisions)))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Space):
            return NotImplemented
        return self is other or (
            self._hash == other._hash and self.decisions == other.decisions and self.template == other.template
        )

    def __hash__(self) -> int:
        return self._hash

    def __reduce__(self) -> Any:
        """What pickles: the template, of which the space is made again, since caches and expressions hold code.

        A space of some of its holes would need the function that selects them; it keeps all but the caches.
        """
        if self._is_whole:
            return Space, (self.template,), {'selects': self.selects}
        made = {name: value for name, value in vars(self).items() if not _is_cached(name)}
        return _blank, (), made

    def __repr__(self) -> str:
        return f'Space(size={show(self.size)}, num_choices={self.num_choices}, num_floats={self.num_floats})'

    @functools.cached_property
    def _plain_decoder(self) -> Decoder:
        return compile_decoder(self._layout.root)

    @functools.cached_property
    def _decoder(self) -> Decoder:
        plain = self._plain_decoder
        return (lambda choices, floats: resolve(plain(choices, floats))) if self._unresolved else plain

    @functools.cached_property
    def _unresolved(self) -> frozenset[type]:
        """The kinds of values in the template that depend on where they stand: filled in once all is decided."""
        return frozenset(type(place) for _, place in unresolved(self.template))

    def decode(self, dna: DNA) -> Any:
        """The object at a point, with `pg.resolve`d values.

        Args:
          dna: one point; a batch on the host gives a list of objects. Inside `jit` or `vmap`, one traced point.

        Raises:
          DnaError: the DNA does not fit.
          SpaceError: a traced point of a space with structural decisions (form `space.groups` first).
        """
        if _check.is_plainly_valid(self._layout, self._tables, dna):
            return self._decoder(dna.choices.tolist(), dna.floats.tolist())
        if isinstance(dna, DNA) and _check.is_traced(dna):
            return self._decode_traced(dna)
        host = self.check(dna)
        if len(host.choices.shape) > 1:
            return (
                [self._decoder(*row) for row in _rows(host)]
                if len(host.shape) == 1
                else [self.decode(host[i]) for i in range(len(host))]
            )
        return self._decoder(host.choices.tolist(), host.floats.tolist())

    def _decode_traced(self, dna: DNA) -> Any:
        if self.structural:
            names = ', '.join(d.id for d in self.structural[:5])
            raise SpaceError(
                f'A traced DNA cannot decide the structure of an object: {names} change the program itself. '
                'Split the population with space.groups(dna), and run each group in a program of its own.'
            )
        if dna.shape:
            raise SpaceError(
                f'A traced DNA is one point; this one has leading axes {dna.shape}: use jax.vmap(space.decode).'
            )
        made = _decode.decode_traced(self._layout.root, dna.choices, dna.floats)
        return resolve(made) if self._unresolved else made

    def encode(self, value: Any) -> DNA:
        """The canonical point at which an object stands: the inverse of `decode`.

        Args:
          value: an object, or a list of objects, which gives a batch.

        Raises:
          DnaError: no point decodes to `value`; the message names the first difference.
        """
        if isinstance(value, list) and not isinstance(self.template, (List, Placeholder)):
            return self._batch(self.encode, value)
        if not self._unresolved:
            return DNA(*_encode.encode(self._layout, value))
        try:
            value = resolve(value)
        except PlaceholderError as error:  # what stands above a value in this space is not above it there
            raise DnaError(f'The object is no point of the space: {error}') from error
        choices, floats = _encode.encode(self._layout, value)
        _encode.check_resolved(self._plain_decoder(choices.tolist(), floats.tolist()), value)
        return DNA(choices, floats)

    def try_encode(self, value: Any) -> DNA | None:
        """`encode`, or None where no point decodes to `value`."""
        try:
            return self.encode(value)
        except DnaError:
            return None

    def groups(self, dna: DNA) -> list[Group]:
        """Splits a population by structure.

        Args:
          dna: P points.

        Returns:
          For each distinct structure, in the order of its first member, the members and one object that holds
          them: floats and gathered candidates as arrays with a leading axis, callables of a `switch` field
          behind a traced index. The numbers are those that `decode` gives, rounded to the leaf's dtype.

        Raises:
          DnaError: the DNA does not fit, or has not exactly one leading axis.

        >>> import pgjax as pg
        >>> space = pg.search_space(pg.Dict(n=pg.oneof([1, 2]), x=pg.floatv(0.0, 1.0)))
        >>> dna = pg.DNA(choices=[[0], [1], [0]], floats=[[0.0], [0.5], [1.0]])
        >>> [(g.indices.tolist(), g.population.n, g.population.x.tolist()) for g in space.groups(dna)]
        [([0, 2], 1, [0.0, 1.0]), ([1], 2, [0.5])]
        """
        host = self.canonical(self.check(dna))
        if len(host.shape) != 1:
            raise DnaError(f'groups needs a population [P, ...]; this DNA has leading axes {host.shape}.')
        found = []
        for indices in partition(_genes.structure_key(self._structural_columns, host)):
            if Inferred in self._unresolved:  # by functions that know one member, and no arrays of many
                found.extend(stacked(indices, self.decode(host[indices])))
            else:
                rows = _decode.decode_rows(self._layout.root, host.choices[indices], host.floats[indices])
                found.append(Group(indices, resolve(rows) if self._unresolved else rows))
        return found

    def partition(self, parts: Mapping[str, Callable[[Any], bool]]) -> Partition:
        """Splits the space into parts that are decided apart; see `Partition`.

        Args:
          parts: for each part, which holes are its own; a hole belongs to the first part that wants it.

        Raises:
          SpaceError: a decision belongs to no part.

        >>> import pgjax as pg
        >>> space = pg.search_space([pg.oneof([1, 2], hints='hw'), pg.oneof([3, 4, 5], hints='nas')])
        >>> parts = space.partition({'hw': lambda h: h.hints == 'hw', 'rest': lambda h: True})
        >>> parts['hw'].size, parts['rest'].size
        (2, 3)
        """
        return Partition.of(self, parts, Space)

    def compare(self, other: Space) -> list[_versions.Change]:
        """What a user would have to change in this space to get the other, decision by decision.

        >>> import pgjax as pg
        >>> old, new = pg.search_space([pg.oneof([1, 2])]), pg.search_space([pg.oneof([1, 2, 3])])
        >>> print(*old.compare(new))
        changed [0]: candidates [1, 2] -> [1, 2, 3]
        """
        return _versions.compare(self.decisions, other.decisions)

    def transfer(self, dna: DNA, old: Space) -> DNA:
        """Points of an older space as points of this one, which extends it: those that decode to the same objects.

        Args:
          dna: one point, or a batch.
          old: the space that `dna` belongs to.

        Raises:
          DnaError: an object of the old space is no point of this one; the message names where.

        >>> import pgjax as pg
        >>> old, new = pg.search_space([pg.oneof([1, 2])]), pg.search_space([pg.oneof([0, 1, 2])])
        >>> new.transfer(old.first(), old).choices.tolist()
        [1]
        """
        host = old.check(dna)
        if self == old:
            return self.canonical(host)
        if not host.shape:
            return self.encode(old.decode(host))
        return self._batch(lambda point: self.transfer(point, old), (host[i] for i in range(len(host))))

    def apply(self, dna: DNA, fn: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Runs code with the decisions of a point: the `pg.oneof(...)` calls inside it return what was decided.

        Args:
          dna: one point of this space, which `pg.trace(fn)` made.
          fn: the code.
          *args: its arguments.
          **kwargs: its arguments by name.

        Raises:
          DnaError: the DNA does not fit.
          SpaceError: the code asks for a decision that the space does not have, or not for one that it has.
        """
        return _trace.apply(self, dna, lambda: fn(*args, **kwargs))


def _blank() -> Space:
    return Space.__new__(Space)


def _is_cached(name: str) -> bool:
    return isinstance(inspect.getattr_static(Space, name, None), functools.cached_property)


def _rows(host: DNA) -> Iterator[tuple[list[int], list[float]]]:
    return zip(host.choices.tolist(), host.floats.tolist(), strict=True)


def search_space(template: Any, where: Where = None) -> Space:
    """The search space of a value with holes.

    Args:
      template: an object, list, dict or tuple with holes anywhere in it, or a hole.
      where: keeps only the holes for which it is true; the others stay holes in what is decoded.

    Raises:
      SpaceError: there is no hole to decide, or two holes of one name differ.

    >>> import pgjax as pg
    >>> pg.search_space(pg.Dict(x=pg.oneof([1, 2]), y=pg.intv(0, 4))).size
    10
    """
    from pgjax.symbolic import symbolic

    if where is not None and not callable(where):
        raise SpaceError(f'where must be a function of a hole, or None, got {type(where).__name__} {show(where)}.')
    if isinstance(template, Space):
        return template if where is None else Space(template.template, where)
    if not isinstance(template, (Object, dict, list, tuple)):
        raise SpaceError(f'There are no decision points in {type(template).__name__} {show(template)}.')
    return Space(symbolic(template, ('template', None)), where)


def materialize(value: T, point: DNA | Mapping[str, Any] | Iterable[Any], where: Where = None) -> T:
    """The object at a point of the space of `value`.

    Args:
      value: a value with holes.
      point: a DNA, a dictionary as `space.from_dict` reads it, or numbers as `space.from_numbers` does; of a batch, the
        objects are a list.
      where: as in `search_space`.

    >>> import pgjax as pg
    >>> pg.materialize({'x': pg.oneof(['a', 'b'])}, {'x': 1}), pg.materialize({'x': pg.oneof(['a', 'b'])}, [0])
    ({'x': 'b'}, {'x': 'a'})
    """
    space = search_space(value, where)
    if _holds_dicts(point):
        point = space.from_dict(point)
    return space.decode(point if isinstance(point, DNA) else space.from_numbers(point))


def _holds_dicts(point: Any) -> bool:
    """Whether it is a dictionary, or lists of them."""
    while isinstance(point, (list, tuple)) and point:
        point = point[0]
    return isinstance(point, Mapping)


def iter_(value: T, num_examples: int | None = None, where: Where = None) -> Iterator[T]:
    """Every object that a value with holes can become, or the first `num_examples`, in order.

    Args:
      value: a value with holes.
      num_examples: how many at most; all by default.
      where: as in `search_space`.

    Raises:
      SpaceError: there is no hole to decide, or the space has floats and so no end.

    >>> import pgjax as pg
    >>> list(pg.iter([pg.oneof([1, 2]), pg.oneof('ab')], 3))
    [[1, 'a'], [1, 'b'], [2, 'a']]
    """
    space = search_space(value, where)
    for index, dna in enumerate(space.iterate()):
        if num_examples is not None and index >= num_examples:
            return
        yield space.decode(dna)


def random_sample(value: T, key: jax.Array, n: int, where: Where = None) -> list[T]:
    """`n` random objects of a value with holes.

    Args:
      value: a value with holes.
      key: of all of them.
      n: how many.
      where: as in `search_space`.

    Raises:
      SpaceError: there is no hole to decide, `key` is no key, or `n` no number of objects.

    >>> import jax
    >>> import pgjax as pg
    >>> len(pg.random_sample([pg.floatv(0.0, 1.0)], jax.random.key(0), 3))
    3
    """
    space = search_space(value, where)
    return space.decode(space.random(key, (n,)))
