"""Dynamic evaluation: decisions asked for by running code, collected and played back."""

import asyncio
import threading

import pytest

import pgjax as pg
from pgjax.space import trace


def program():
    def conv():
        return ('conv', pg.oneof([3, 5]), pg.floatv(0.0, 1.0))

    op = pg.oneof([conv, lambda: ('pool', pg.intv(2, 4))])
    return op, pg.oneof(['a', 'b'], name='mode')


def test_every_branch_is_collected():
    space = trace(program)
    assert [d.label for d in space.decisions] == [
        'decision_0',
        'decision_0[=0/2].decision_0',
        'decision_0[=0/2].decision_1',
        'decision_0[=1/2].decision_0',
        'mode',
    ]
    assert space.apply(space.from_numbers([0, 1, 0.5, 1]), program) == (('conv', 5, 0.5), 'b')
    assert space.apply(space.from_numbers([1, 3, 0]), program) == (('pool', 3), 'a')


def test_outside_of_contexts_holes_are_holes():
    trace(program)
    assert isinstance(pg.oneof([1, 2]), pg.Object)


def test_names_are_tied():
    def tied():
        return pg.oneof([1, 2], name='n'), pg.oneof([lambda: pg.oneof([1, 2], name='n'), lambda: 5])

    space = trace(tied)
    assert space.size == 4
    assert space.apply(space.from_dict({'n': 1, 'decision_0': 0}), tied) == (2, 2)
    with pytest.raises(pg.SpaceError, match="'n' differ"):
        trace(lambda: (pg.oneof([1, 2], name='n'), pg.oneof([1, 3], name='n')))


def test_nested_contexts_share_the_decisions_by_where():
    def code():
        return pg.oneof([10, 20], hints='hw', name='hw') + pg.oneof([1, 2], hints='nas')

    seen = []

    def outer():
        inner = trace(code, where=lambda h: h.hints == 'nas')
        seen.append(inner.size)
        return inner.apply(inner.nth(1), code)

    space = trace(outer)
    assert space.size == 2 and set(seen) == {2}
    assert [space.apply(d, outer) for d in space.iterate()] == [12, 22]


def test_manyof_and_subsets_of_branches():
    def code():
        return pg.manyof(2, [lambda: pg.oneof([1, 2]), lambda: 3, 4])

    space = trace(code)
    assert space.size == 2 * (2 + 2 + 1)
    assert space.apply(space.from_numbers([0, 1, 2]), code) == [2, 4]


def test_code_that_differs_is_refused():
    space = trace(lambda: pg.oneof([1, 2]))
    with pytest.raises(pg.SpaceError, match=r'decision_1.*lambda'):
        space.apply(space.first(), lambda: (pg.oneof([1, 2]), pg.oneof([3, 4])))
    with pytest.raises(pg.SpaceError, match='2 candidates'):
        space.apply(space.first(), lambda: pg.oneof([1, 2, 3]))
    with pytest.raises(pg.SpaceError, match='without a name'):
        trace(lambda: pg.oneof([1, 2]), require_names=True)
    with pytest.raises(pg.SpaceError, match='no decision points'):
        trace(lambda: 1)


@pytest.mark.parametrize(
    ('traced', 'applied', 'words'),
    [
        (lambda: [pg.oneof([1, 2]), pg.oneof([3, 4])], lambda: pg.oneof([1, 2]), "'decision_1'.*pg.trace met"),
        (lambda: pg.oneof([1, 2], name='a'), lambda: 3, "'a'.*pg.trace met"),
        (lambda: pg.oneof([lambda: pg.intv(0, 4)]), lambda: pg.oneof([lambda: 3]), "'decision_0'.*pg.trace met"),
        (
            lambda: pg.oneof([True, False]) and pg.oneof([1, 2]),
            lambda: pg.oneof([False, True]) and pg.oneof([1, 2]),
            'candidates that are functions',
        ),
    ],
)
def test_code_that_asks_for_less_is_refused(traced, applied, words):
    space = trace(traced)
    with pytest.raises(pg.SpaceError, match=words):
        for dna in space.iterate():
            space.apply(dna, applied)


def test_custom_decisions_in_running_code():
    space = trace(lambda: pg.custom([pg.oneof([1, 2]), pg.intv(0, 1)], tuple))
    assert space.size == 4
    results = [space.apply(dna, lambda: pg.custom([pg.oneof([1, 2]), pg.intv(0, 1)], tuple)) for dna in space.iterate()]
    assert results == [(1, 0), (1, 1), (2, 0), (2, 1)]
    hole = pg.oneof([1, 2])
    made_before = trace(lambda: pg.custom([hole], tuple))
    assert made_before.apply(made_before.nth(1), lambda: pg.custom([hole], tuple)) == (2,)


def test_threads_and_tasks_do_not_see_each_other():
    space = trace(program)
    results = {}

    def work(i):
        results[i] = [space.apply(space.from_numbers([1, 2 + i % 3, 0]), program) for _ in range(20)]

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(r == (('pool', 2 + i % 3), 'a') for i, rows in results.items() for r in rows)

    async def task(number):
        await asyncio.sleep(0)
        return space.apply(space.from_numbers([1, number, 0]), program)

    async def main():
        return await asyncio.gather(*(task(n) for n in (2, 3, 4)))

    assert [r[0][1] for r in asyncio.run(main())] == [2, 3, 4]


def test_code_that_asks_for_nothing_says_where_holes_belong():
    outside = pg.oneof([1, 2])
    with pytest.raises(pg.SpaceError, match=r'asked for none .* Call pg.oneof, .* inside the traced function'):
        pg.trace(lambda: outside)
