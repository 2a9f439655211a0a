"""Random edits of random trees against a plain twin: rebinds, rules, lenses and differences agree, and fail whole."""

from typing import Any

import hypothesis
import pytest
from hypothesis import given, strategies as st

import pgjax as pg
from pgjax._keypath import Path
from pgjax.symbolic import children


class Node(pg.Object):
    a: Any = None
    b: Any = 1


class Counted(pg.Object):
    count: int = 0
    below: Any = None


leaves = st.one_of(st.integers(-3, 3), st.floats(-1, 1), st.text(max_size=2), st.none(), st.just(float('nan')))
names = st.sampled_from(['a', 'b', 'a.b', "it's", '', '*', '[0]'])
trees = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(names, inner, max_size=3),
        st.tuples(inner, inner),
        st.builds(Node, inner, inner),
        st.builds(Counted, st.integers(0, 9), inner),
    ),
    max_leaves=12,
)


def parts_of(root: Any) -> dict[Path, Any]:
    found, pending = {}, [(Path(), root)]
    while pending:
        path, value = pending.pop()
        found[path] = value
        pending.extend((path.child(key), part) for key, part in children(value) or ())
    return found


def identities(root: Any) -> dict[Path, int]:
    return {path: id(part) for path, part in parts_of(root).items()}


def draw_updates(tree: Any, data: Any) -> dict[Path, Any]:
    """Updates of which none is below another: new values, items and keys that come, and such that go."""
    parts = parts_of(tree)
    updates: dict[Path, Any] = {}
    for _ in range(data.draw(st.integers(1, 4))):
        path = data.draw(st.sampled_from(sorted(parts, key=str)))
        node, parent = parts[path], parts[path.parent]
        action = data.draw(st.sampled_from(['set', 'remove', 'insert', 'add']))
        value = data.draw(st.integers(10, 20))
        if action == 'add' and isinstance(node, (pg.List, pg.Dict)):
            path = path.child(len(node) if isinstance(node, pg.List) else 'new key')
        elif action == 'remove' and isinstance(parent, (pg.List, pg.Dict)):
            value = pg.MISSING
        elif action == 'insert' and isinstance(parent, pg.List):
            value = pg.Insertion(value)
        if path and not any(path.startswith(other) or other.startswith(path) for other in updates):
            updates[path] = value
    hypothesis.assume(updates)
    return updates


def plainly_updated(node: Any, updates: dict[tuple, Any]) -> Any:
    """What a rebind means, written down without sharing, validation or speed."""
    if () in updates:
        return updates[()]
    below: dict[Any, dict[tuple, Any]] = {}
    for path, value in updates.items():
        below.setdefault(path[0], {})[path[1:]] = value
    made = {key: plainly_updated(part, below.pop(key, {})) for key, part in children(node) or ()}
    if isinstance(node, (Node, Counted)):
        return type(node)(**made)
    if isinstance(node, dict):
        made.update({key: value[()] for key, value in below.items()})
        return {key: value for key, value in made.items() if value is not pg.MISSING}
    if not isinstance(node, (tuple, list)):
        return node
    items = []
    for index, value in made.items():
        if isinstance(value, pg.Insertion):
            items += [value.value, node[index]]
        elif value is not pg.MISSING:
            items.append(value)
    items += [value[()] for value in below.values()]
    return items if isinstance(node, (list, pg.List)) else tuple(items)


@given(trees, st.data())
def test_a_rebind_is_what_it_says_and_its_diff_goes_there_and_back(value, data):
    tree = pg.Dict(root=value)
    before = identities(tree)
    updates = draw_updates(tree, data)
    changed = tree.rebind(updates)
    assert pg.eq(changed, plainly_updated(tree, {tuple(path): value for path, value in updates.items()}))
    assert identities(tree) == before
    difference = pg.diff(tree, changed)
    assert pg.eq(pg.patch(tree, difference), changed)
    assert pg.eq(pg.patch(changed, difference.inverse()), tree)
    assert pg.eq(pg.patch(tree, dict(updates)), changed)


@given(trees, st.data())
def test_one_bad_update_among_good_ones_changes_nothing(value, data):
    tree = pg.Dict(root=Counted(1, value))
    before = identities(tree)
    updates = [
        item for item in draw_updates(tree, data).items() if item[0] not in (Path(('root',)), Path(('root', 'count')))
    ]
    bad = data.draw(st.sampled_from([('root.count', 'many'), ('root.cuont', 1), ('nowhere.at.all', 1)]))
    updates.insert(data.draw(st.integers(0, len(updates))), bad)
    with pytest.raises(pg.PgjaxError):
        tree.rebind(dict(updates))
    with pytest.raises(pg.PgjaxError):
        pg.patch(tree, [{'root.count': 5}, dict(updates)])
    assert identities(tree) == before and tree.root.count == 1


@given(trees, st.sampled_from(['**', '**.count', '**.a', 'root.*', '**.below.**']), st.booleans())
def test_a_lens_a_rule_and_a_rebind_of_the_same_parts_agree(value, selector, by_modify):
    tree = pg.Dict(root=Counted(1, value))
    lens = pg.lens(selector)
    found = lens.items(tree)
    hypothesis.assume(found)
    new = [7] * len(found)
    by_lens = lens.modify(tree, lambda _: 7) if by_modify else lens.set_each(tree, new)
    by_rule = tree.rebind(lambda path, part: 7 if path in found else part, raise_on_no_change=False)
    assert pg.eq(by_lens, by_rule) and pg.eq(by_lens, tree.rebind(dict.fromkeys(found, 7), raise_on_no_change=False))
    untouched = [path for path in parts_of(tree) if not any(path.startswith(f) or f.startswith(path) for f in found)]
    parts, made = parts_of(tree), parts_of(by_lens)
    assert all(made[path] is parts[path] for path in untouched)
