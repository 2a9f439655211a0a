"""Patches, lenses, queries-then-edits and differences against PyGlove: each operation, paired, in one run.

    python benchmarks/edits.py [--rounds 7] [--json out.json]

Trees, measuring and the meaning of the columns are those of `objects.py`. PyGlove edits in place unless it says
otherwise; there each round sets a new value, or there would be nothing to do. Its functional form clones first.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from typing import Any

import pyglove
from objects import LARGE, PATH, PGJAX, PYGLOVE, SMALL, GLayer, Layer, Row, build, report

import pgjax as pg
from pgjax.edit import from_uri

VALUES = iter(range(1, 1 << 60))


@pg.patcher(name='bench.set_dropout')
def set_dropout(exp: Any, rate: float = 0.2) -> Any:
    """Sets every dropout by a lens."""
    return pg.lens('**.dropout').set(exp, rate)


@pg.patcher(name='bench.rename')
def rename(exp: Any, name: str) -> Any:
    """Changes one field at the root."""
    return {'name': name}


@pyglove.patcher(auto_typing=True)
def bench_set_dropout(exp: Any, rate: float = 0.2) -> Any:
    """PyGlove's `set_dropout`: a rule is the idiom there."""
    return lambda k, v, p: rate if k and k.key == 'dropout' else v


@pyglove.patcher(auto_typing=True)
def bench_rename(exp: Any, name: str) -> Any:
    """PyGlove's `rename`."""
    return {'name': name}


def rate() -> float:
    """A dropout rate that no tree has yet."""
    return next(VALUES) / 2.0**60


def by_pattern(small: Any, in_place: Any) -> list[Row]:
    """All sixteen dropouts of the small tree, found by what they are."""
    lens = pg.lens('**.dropout')
    clone: Callable[[], Any] = in_place.clone

    def row(name: str, ours: Callable[[], Any], theirs: Callable[[Any], Any]) -> Row:
        others = {'pyglove on a clone': lambda: theirs(clone()), 'pyglove in place': lambda: theirs(in_place)}
        return Row(name, {'pgjax': ours, **others}, {'pyglove on a clone': 50, 'pyglove in place': 50})

    def by_rule(tree: Any) -> Any:
        new = rate()
        return pyglove.patch(tree, lambda k, v, p: new if k and k.key == 'dropout' else v)

    return [
        row('a rule', lambda: pg.patch(small, lambda p, v, _: 0.2 if p.key == 'dropout' else v), by_rule),
        row(
            'patch_on_key',
            lambda: pg.patch_on_key(small, 'dropout', 0.2),
            lambda tree: pyglove.patching.patch_on_key(tree, 'dropout', rate()),
        ),
        row(
            'patch_on_member',
            lambda: pg.patch_on_member(small, Layer, 'dropout', 0.2),
            lambda tree: pyglove.patching.patch_on_member(tree, GLayer, 'dropout', rate()),
        ),
        row(
            "a lens, '**.dropout'",
            lambda: lens.set(small, 0.2),
            lambda tree: tree.rebind(dict.fromkeys(pyglove.query(tree, r'.*\.dropout'), rate())),
        ),
    ]


def by_name(small: Any, in_place: Any) -> list[Row]:
    """Patchers and URIs."""
    chain = 'bench.set_dropout?0.3 >> bench.rename?x'
    named = pg.patch(small, 'bench.rename?x')
    return [
        Row(
            'a patcher by URI',
            {
                'pgjax': lambda: pg.patch(small, 'bench.set_dropout?0.3'),
                'pyglove on a clone': lambda: pyglove.patch(in_place.clone(), 'bench_set_dropout?0.3'),
            },
            {'pyglove on a clone': 50},
        ),
        Row(
            'a mapping',
            {
                'pgjax': lambda: pg.patch(small, {PATH: next(VALUES)}),
                'pyglove on a clone': lambda: pyglove.patch(in_place.clone(), {PATH: next(VALUES)}),
                'pyglove in place': lambda: pyglove.patch(in_place, {PATH: next(VALUES)}),
            },
            {},
        ),
        Row(
            'read a URI',
            {
                'pgjax': lambda: from_uri('bench.rename?name=abc'),
                'pyglove': lambda: pyglove.patching.from_uri('bench_rename?name=abc'),
            },
            {},
        ),
        Row('a chain by URI', {'pgjax': lambda: pg.patch(small, chain)}, {}),
        Row('history of a patched tree', {'pgjax': lambda: pg.history(named)}, {}),
    ]


def differences(small: Any, large: Any, theirs: Any) -> list[Row]:
    """Trees that differ in one leaf: distinct ones, and ones that a rebind relates."""
    near, twin = small.rebind({PATH: 1}), build(PGJAX, *SMALL).rebind({PATH: 1})
    large_near, theirs_near = large.rebind({PATH: 1}), theirs.clone(override={PATH: 1})
    found = pg.diff(small, near)
    by_pyglove = lambda: pyglove.diff(theirs, theirs_near)  # noqa: E731
    return [
        Row(
            'diff of distinct trees',
            {'pgjax': lambda: pg.diff(small, twin), 'pyglove': by_pyglove},
            {'pyglove': 600},
        ),
        Row(
            'diff of trees related by a rebind',
            {'pgjax': lambda: pg.diff(small, near), 'pyglove': by_pyglove},
            {'pyglove': 3000},
        ),
        Row(
            'the same with 10k nodes',
            {'pgjax': lambda: pg.diff(large, large_near), '100 nodes': lambda: pg.diff(small, near)},
            {'100 nodes': 1 / 1.3},
        ),
        Row('apply a diff', {'pgjax': lambda: pg.patch(small, found)}, {}),
        Row('invert a diff', {'pgjax': found.inverse}, {}),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--rounds', type=int, default=7)
    parser.add_argument('--json', help='write the figures to this file')
    options = parser.parse_args()
    small, large, theirs = build(PGJAX, *SMALL), build(PGJAX, *LARGE), build(PYGLOVE, *SMALL)
    rows = [*differences(small, large, theirs), *by_name(small, theirs), *by_pattern(small, theirs)]
    results = [report(row, options.rounds) for row in rows]
    missed = [result['name'] for result in results if not result['met']]
    print(f'{len(results) - len(missed)} of {len(results)} rows meet their goals.')
    for name in missed:
        print(f'  missed: {name}')
    if options.json:
        with open(options.json, 'w') as file:
            json.dump(results, file, indent=2)


if __name__ == '__main__':
    main()
