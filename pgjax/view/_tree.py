"""Values as trees that fold and unfold, in treescope's parts."""

from __future__ import annotations

import contextlib
import dataclasses
import enum
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import jax
import numpy as np

from pgjax._keypath import Key, Path
from pgjax.edit import Change
from pgjax.symbolic import Placeholder, children
from pgjax.symbolic._format import call_parts
from pgjax.symbolic._spec import is_array, is_traced
from pgjax.view._drawing import MAX_DEPTH, Drawing, Marks, below, one_level
from pgjax.view._words import leaf_text, safe

if TYPE_CHECKING:
    from treescope.renderers import TreescopeSubtreeRenderer as Renderer
    from treescope.rendering_parts import RenderableAndLineAnnotations as Line, RenderableTreePart as Part

_MOST_ELEMENTS = 10_000  # of an array that is drawn with its content
_OPEN = 'oklch(0.87 0.15 90)'
_COLOURS: list[tuple[type | tuple[type, ...], str]] = [
    (str, 'oklch(0.5 0.13 150)'),
    ((bool, type(None), enum.Enum), 'oklch(0.5 0.16 320)'),
    ((int, float, complex, np.generic), 'oklch(0.5 0.16 255)'),
    (Placeholder, 'oklch(0.55 0.18 60)'),
]
_OLD = 'background-color: oklch(0.93 0.05 25); text-decoration: line-through;'
_NEW = 'background-color: oklch(0.93 0.07 150);'


def tree(node: Any, path: str | None, render: Renderer) -> Line:
    """A container or object, its parts on lines of their own where it is unfolded; `__treescope_repr__`."""
    from treescope import rendering_parts as parts

    with one_level() as drawing:
        opening, closing, labelled = call_parts(node) or ('', leaf_text(node), [])
        opening = safe(opening)
        if labelled and drawing.depth > MAX_DEPTH:
            return parts.build_one_line_tree_node(f'{opening}...{closing}', path)
        return parts.build_foldable_tree_node_from_children(
            prefix=opening,
            children=_lines(node, labelled, path, render, drawing),
            suffix=closing,
            path=path,
            background_color=_colour(node),
            expand_state=_fold(drawing.marks, path),
        )


def marked_tree(value: Any, marks: Marks, render: Renderer) -> Line:
    """A value with what is different in it beside what was there; everything else is folded."""
    with one_level(marks):
        change = marks.at.get('')
        return _changed(change, render) if change else draw(value, '', render)


def draw(value: Any, path: str | None, render: Renderer) -> Line:
    """A part of a tree: treescope's own picture of small arrays and of foreign objects with parts, ours of all else."""
    if call_parts(value) is not None:
        return render(value, path=path) if hasattr(type(value), '__treescope_repr__') else tree(value, path, render)
    if _is_small(value) if is_array(value) else _has_parts(value):
        with contextlib.suppress(Exception):  # a foreign __repr__ below may raise anything
            return render(value, path=path)
    return _leaf(value, path)


def _leaf(value: Any, path: str | None) -> Line:
    from treescope import rendering_parts as parts

    text = parts.text(leaf_text(value))
    colour = next((colour for kind, colour in _COLOURS if isinstance(value, kind)), None)
    return parts.build_one_line_tree_node(parts.custom_text_color(text, colour) if colour else text, path)


def _is_small(array: Any) -> bool:
    """Whether an array's content can be read, and costs little: a large one would have to come from its devices."""
    if isinstance(array, jax.ShapeDtypeStruct) or array.size > _MOST_ELEMENTS:
        return False
    if not isinstance(array, jax.Array):
        return True
    return not is_traced(array) and array.is_fully_addressable and not array.is_deleted()


def _has_parts(value: Any) -> bool:
    """Whether treescope has more to show of a foreign object than one line."""
    if value is None or isinstance(value, type):
        return False
    has_picture = dataclasses.is_dataclass(value) or hasattr(type(value), '__treescope_repr__')
    return has_picture or not jax.tree_util.all_leaves([value])


def _lines(
    node: Any, labelled: list[tuple[str, Any]], path: str | None, render: Renderer, drawing: Drawing
) -> list[Part]:
    """The parts of a node, each on a line of its own."""
    items = list(_items(node, labelled, path, render, drawing))
    return [_line(*item, is_last=index == len(items) - 1) for index, item in enumerate(items)]


def _items(
    node: Any, labelled: list[tuple[str, Any]], path: str | None, render: Renderer, drawing: Drawing
) -> Iterator[tuple[str, Line, str]]:
    """(label, picture, comment) for each part of a node, and for what was removed from it where it stood."""
    from treescope import rendering_parts as parts

    removed = list(drawing.marks.removed_from(path))
    keyed = _with_keys(node, labelled, path, drawing.marks)
    for index, (key, label, part) in enumerate(keyed):
        while removed and removed[0][0] is not None and removed[0][0] <= index:
            yield '', _changed(removed.pop(0)[1], render), ''
        drawing.left -= 1
        if drawing.left < 0:
            more = parts.abbreviation_color(parts.text(f'... {len(keyed) - index} more'))
            yield '', parts.build_one_line_tree_node(more), ''
            return
        here = below(path, key)
        change = drawing.marks.at.get(here) if here is not None else None
        yield label, draw(part, here, render) if change is None else _changed(change, render), _doc(node, key)
    for _, change in removed:
        label = f'{Path.parse(change.path).key!r}: ' if isinstance(node, dict) else ''
        yield label, _changed(change, render), ''


def _line(label: str, drawn: Line, doc: str, is_last: bool) -> Part:
    """One part, with the comma that code has there."""
    from treescope import rendering_parts as parts

    when_folded = parts.fold_condition(collapsed=parts.text(' '))
    comma = parts.fold_condition(expanded=parts.text(',')) if is_last else parts.siblings(',', when_folded)
    comments = [parts.comment_color(parts.text(f'  # {safe(doc)}'))] if doc else []
    line = parts.siblings_with_annotations(safe(label), drawn, comma, extra_annotations=comments)
    return parts.build_full_line_with_annotations(line)


def _changed(change: Change, render: Renderer) -> Line:
    """What was there, struck out, and what is there now."""
    from treescope import rendering_parts as parts

    def styled(sign: str, value: Any, style: str) -> Part:
        drawn = _leaf(value, None) if is_array(value) else draw(value, None, render)
        return parts.custom_style(parts.siblings(sign, drawn.renderable), style)

    if change.kind == 'set':
        both = parts.siblings(styled('', change.old, _OLD), ' \N{RIGHTWARDS ARROW} ', styled('', change.new, _NEW))
        return parts.build_one_line_tree_node(both, change.path)
    if change.kind == 'add':
        return parts.build_one_line_tree_node(styled('+ ', change.new, _NEW), change.path)
    return parts.build_one_line_tree_node(styled('- ', change.old, _OLD))


def _with_keys(
    node: Any, labelled: list[tuple[str, Any]], path: str | None, marks: Marks
) -> list[tuple[Key | None, str, Any]]:
    """(key, label, part) of what a call shows, and of what it leaves out where that differs; None for no key."""
    inside = children(node) or []
    if not hasattr(type(node), '_format_call'):
        return [(key, label, part) for (key, _), (label, part) in zip(inside, labelled, strict=True)]
    hidden: dict[Key, Any] = dict(inside)
    keyed: list[tuple[Key | None, str, Any]] = []
    for label, part in labelled:
        found: Key | None = label.removesuffix('=') or next((k for k, v in hidden.items() if v is part), None)
        keyed.append((found if found in hidden else None, label, part))
        hidden.pop(found, None)  # type: ignore[arg-type]
    return keyed + [(k, f'{k}=', v) for k, v in hidden.items() if marks.concern(below(path, k))]


def _doc(node: Any, key: Key | None) -> str:
    """What the class says of a field."""
    field = getattr(type(node), '__pg_fields__', {}).get(key)
    return field.info.doc if field is not None else ''


def _colour(node: Any) -> str | None:
    """One colour for each class, and one for all decisions that are still open."""
    from treescope.formatting_util import color_from_string

    if isinstance(node, Placeholder):
        return _OPEN
    return color_from_string(type(node).__qualname__) if hasattr(type(node), '__pg_fields__') else None


def _fold(marks: Marks, path: str | None) -> Any:
    """Treescope's choice, but in a comparison: unfolded where something below differs, and folded elsewhere."""
    from treescope.rendering_parts import ExpandState

    if not marks:
        return ExpandState.WEAKLY_COLLAPSED
    return ExpandState.EXPANDED if marks.leads_from(path) else ExpandState.COLLAPSED
