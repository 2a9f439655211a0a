"""Functors, symbolized classes, compounds, wrapped libraries and detours: code as values."""

import abc
import asyncio
import dataclasses
import fractions
import functools
import inspect
import pickle
import threading
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

import pgjax as pg
from pgjax import symbolic
from pgjax.symbolic import compound, detour, functor, symbolize, wrap, wrap_module

# Functors ------------------------------------------------------------------------------------------------------


@functor
def power(x: float, exponent: int = 2) -> float:
    """Raises to a power."""
    return x**exponent


@functor
def everything(a, /, b: float = 2.0, *args, c: int = 3, **kwargs):
    return a, b, args, c, kwargs


class Scaled(symbolic.Functor):
    x: float
    by: float = 2.0

    def _call(self):
        return self.x * self.by


def test_a_functor_is_called_later():
    cube = power(exponent=3)
    assert repr(cube) == 'power(exponent=3)' and cube.unbound_args == {'x'} and cube.bound_args == {'exponent'}
    assert not cube.is_fully_bound and power(1.0).is_fully_bound
    assert cube(2.0) == cube(x=2.0) == power(2.0, 3)() == 8.0
    assert cube == power(exponent=3) and cube.rebind(x=1.0)() == 1.0
    assert power.__doc__ == 'Raises to a power.' and power.__name__ == 'power'


def test_late_arguments_do_not_replace_bound_ones_unasked():
    bound = power(2.0, 3)
    with pytest.raises(TypeError, match=r"'x' is bound already.*override_args=True"):
        bound(x=5.0)
    with pytest.raises(TypeError, match='late positional'):
        bound(5.0)
    assert bound(x=5.0, override_args=True) == 125.0 and bound() == 8.0
    assert power(2.0)(exponent=4) == 16.0  # a default is not bound
    with pytest.raises(TypeError, match='no argument'):
        bound(expnent=1)
    assert bound(zz=1, ignore_extra_args=True) == 8.0


def test_calls_that_cannot_be_made():
    with pytest.raises(TypeError, match='missing x'):
        power()()
    with pytest.raises(RuntimeError, match='while parts are open: exponent'):
        power(1.0, pg.oneof([1, 2]))()
    with pytest.raises(TypeError, match=r'power\.exponent: expected int'):
        power(1.0, 'two')
    with pytest.raises(TypeError, match='expected float'):
        power()('two')


def test_open_ended_signatures():
    call = everything(1, 2.5, 3, 4, c=5, z=6)
    assert call() == (1, 2.5, (3, 4), 5, {'z': 6})
    assert repr(call) == 'everything(1, 2.5, 3, 4, c=5, z=6)'
    assert eval(repr(call)) == call and pickle.loads(pickle.dumps(call)) == call
    assert call.rebind({'kwargs.z': 7, 'args[0]': 8})() == (1, 2.5, (8, 4), 5, {'z': 7})
    assert everything(1)() == (1, 2.0, (), 3, {})


def test_functors_are_pytrees():
    assert float(jax.jit(lambda f: f())(power(3.0))) == 9.0
    assert float(jax.grad(lambda f: f())(power(3.0)).x) == 6.0
    assert Scaled(3.0)() == 6.0 and Scaled.partial(by=10.0)(x=1.0) == 10.0


# Symbolized classes --------------------------------------------------------------------------------------------

made: list[Any] = []


@symbolize
class Trainer:
    def __init__(self, model, rate: float = 0.1, *callbacks, **options):
        made.append(rate)
        self.model = model
        self.rate = rate * 10  # an attribute may differ from the argument it is named for
        self.seen = len(callbacks)
        self.options = options

    def describe(self):
        return f'{self.model} {self.rate} {self.seen} {self.options}'

    def count(self):
        self.seen += 1


@symbolize
@dataclasses.dataclass
class Point:
    x: int
    tags: list = dataclasses.field(default_factory=list)

    def norm(self):
        return abs(self.x)


@symbolize
class Shape(abc.ABC):
    def __init__(self, side: int = 1):
        self._side = side

    @abc.abstractmethod
    def area(self): ...


class Square(Shape):
    def area(self):
        return self._side**2


def test_a_class_becomes_symbolic():
    trainer = Trainer('m', 0.5, print, deep=True)
    assert trainer.describe() == "m 5.0 1 {'deep': True}"
    assert isinstance(trainer, pg.Object) and trainer == Trainer('m', 0.5, print, deep=True)
    changed = trainer.rebind({'rate': 1.0, 'options.deep': False})
    assert changed.describe() == "m 10.0 1 {'deep': False}" and trainer.describe().startswith('m 5.0')
    assert repr(Trainer('m', 0.5)) == "Trainer('m', 0.5)" or repr(Trainer('m', 0.5)).startswith('Trainer(')
    assert eval(repr(changed), {'Trainer': Trainer, 'print': print, 'builtins': __import__('builtins')}) == changed


def test_its_state_belongs_to_one_value():
    made.clear()
    trainer = Trainer('m', 0.5)
    open_trainer = trainer.rebind(rate=pg.floatv(0.1, 1.0))
    assert len(made) == 1
    with pytest.raises(RuntimeError, match='still open are rate'):
        open_trainer.seen  # noqa: B018
    again = jax.tree.unflatten(jax.tree.structure(trainer), [2.0])
    assert len(made) == 1
    assert again.rate == 20.0 and again.describe() and made == [0.5, 2.0]
    assert pickle.loads(pickle.dumps(trainer)).describe() == trainer.describe()


def test_a_symbolized_object_is_frozen():
    trainer = Trainer('m')
    with pytest.raises(AttributeError, match='immutable'):
        trainer.count()
    with pytest.raises(AttributeError, match='immutable'):
        trainer.seen = 4
    with pytest.raises(AttributeError, match='nothing_here'):
        trainer.nothing_here  # noqa: B018


def test_dataclasses_and_abstract_classes():
    point = Point(3)
    assert (point.x, point.tags, point.norm(), repr(point)) == (3, [], 3, 'Point(x=3, tags=[])')
    assert Point(3) == point and Point(3, ['a']).rebind({'tags[0]': 'b'}).tags == ['b']
    with pytest.raises(TypeError, match=r'Point\.x: expected int'):
        Point('a')
    assert Square(3).area() == 9 and Square(3).rebind(side=4).area() == 16
    with pytest.raises(TypeError, match='abstract'):
        Shape()


def test_what_cannot_become_symbolic_says_so():
    with pytest.raises(TypeError, match='takes a class or a function'):
        symbolize(3)
    with pytest.raises(TypeError, match='reserved'):

        @symbolize
        class Bad:
            def __init__(self, rebind):
                self.x = rebind

    assert symbolize(Point) is Point
    with pytest.raises(TypeError, match=r'A base of Dense writes it into every subclass.*use pg\.wrap'):
        symbolize(nn.Dense)


def test_symbolize_of_a_function_is_a_functor():
    add = symbolize(lambda x, y: x + y, name='tests.add')
    assert add(1)(2) == 3


# Compounds -----------------------------------------------------------------------------------------------------


class Model(pg.Object):
    widths: list[int]

    def __call__(self, x):
        return x * sum(self.widths)


class Holder(pg.Object):
    model: Model


def test_the_signature_of_an_object_is_that_of_its_call():
    assert str(inspect.signature(Model)) == '(widths: list[int])'
    assert list(inspect.signature(Model([1])).parameters) == ['x']
    scaled = symbolize(lambda x, by, power=1: (x * by) ** power, name='tests.scaled')
    assert list(inspect.signature(scaled).parameters) == ['x', 'by', 'power']
    assert str(inspect.signature(scaled(by=2))) == '(x: Any, power: Any = 1)' and scaled(by=2)(3, 2) == 36
    with pytest.raises(TypeError):
        inspect.signature(Holder(Model([1])))  # it cannot be called


built: list[int] = []


@compound
def tower(depth: int = 2, width: int = 8) -> Model:
    built.append(depth)
    return Model([width] * depth)


@compound(Model)
def untyped(width=1):
    return Model([width])


@compound
def lying() -> Model:
    return 3  # type: ignore[return-value]


def test_a_compound_stands_for_what_it_builds():
    built.clear()
    holder = Holder(tower(depth=3))
    assert built == [] and repr(holder) == 'Holder(model=tower(depth=3, width=8))'
    assert holder.model.decomposed == Model([8, 8, 8]) and holder.model.widths == [8, 8, 8] and holder.model(2) == 48
    assert built == [3]
    assert holder.rebind({'model.width': 1}).model.decomposed == Model([1, 1, 1])
    assert tower(3) != Model([8, 8, 8]) and isinstance(untyped(), Model)
    assert pickle.loads(pickle.dumps(holder)) == holder


def test_a_compound_with_holes_or_of_another_class():
    with pytest.raises(RuntimeError, match='open: depth'):
        tower(pg.oneof([1, 2])).decomposed  # noqa: B018
    with pytest.raises(TypeError, match='declared to build Model, and built int'):
        lying().decomposed  # noqa: B018
    with pytest.raises(AttributeError, match='nothing'):
        tower().nothing  # noqa: B018


# Wrapping ------------------------------------------------------------------------------------------------------


def test_flax_modules():
    linen = wrap_module(nn)
    net = linen.Sequential([linen.Dense(4), nn.relu, linen.Dense(features=2)])
    assert repr(net) == 'Sequential(layers=[Dense(features=4), jax.nn.relu, Dense(features=2)])'
    module = net.rebind({'layers[0].features': 8}).build()
    assert isinstance(module, nn.Sequential)
    variables = module.init(jax.random.key(0), jnp.ones((1, 3)))
    assert variables['params']['layers_0']['kernel'].shape == (3, 8)
    assert module.apply(variables, jnp.ones((5, 3))).shape == (5, 2)
    assert linen.relu is nn.relu and linen.Dense is wrap(nn.Dense)
    assert linen.Dense in set(linen)
    assert pickle.loads(pickle.dumps(net)) == net


class Sized(nnx.Module):
    def __init__(self, features: int, rate: float = 0.5, *, rngs: nnx.Rngs):
        self.dense = nnx.Linear(3, features, rngs=rngs)

    def __call__(self, x):
        return self.dense(x)


def test_flax_nnx_modules_have_their_constructors_fields():
    symbolic_nnx = wrap_module(nnx)
    net = wrap(Sized)(4, rngs=symbolic_nnx.Rngs(0))
    assert repr(net) == 'Sized(features=4, rngs=Rngs(default=0))'
    wide = net.rebind(features=8)
    assert wide.build()(jnp.ones((2, 3))).shape == (2, 8)
    np.testing.assert_array_equal(*(wide.build()(jnp.ones(3)) for _ in range(2)))  # Rngs are made anew
    assert {x.build()(jnp.ones(3)).shape for x in pg.iter(net.rebind(features=pg.oneof([1, 2])))} == {(1,), (2,)}
    assert pg.from_json(pg.to_json(wide)) == wide
    with pytest.raises(TypeError, match=r"features: expected int, got str 'wide'"):
        net.rebind(features='wide')
    layers = symbolic_nnx.Sequential(symbolic_nnx.Linear(3, 4, rngs=net.rngs), nnx.relu)
    plain = pg.patch_on_member(layers, symbolic_nnx.Linear, 'use_bias', False)
    assert plain.build().layers[0].bias is None
    space = pg.search_space(plain.rebind({'fns[0].out_features': pg.oneof([4, 8])}))  # which hashes all defaults
    assert space.size == 2 and pg.from_json(pg.to_json(layers)) == layers


def test_a_constructor_behind_one_that_passes_all_on():
    class Pooled:
        def __new__(cls, *args, **kwargs):
            return super().__new__(cls)

        def __init__(self, size: int, name='pool'):
            self.size = size

    pooled = wrap(Pooled)(3)
    assert repr(pooled) == 'Pooled(size=3)' and pooled.rebind(size=4).build().size == 4


def test_parameters_are_checked_by_their_own_annotations():
    class Rate:
        value: float

        def __init__(self, value: 'float | str', digits: 'int' = 2):
            self.value = round(float(value), digits)

    assert wrap(Rate)('0.123').build().value == 0.12
    with pytest.raises(TypeError, match=r"digits: expected int, got str 'two'"):
        wrap(Rate)(0.5, 'two')


def test_optax_constructors():
    adamw = wrap(optax.adamw)
    settings = adamw(learning_rate=0.1, weight_decay=0.0)
    assert repr(settings) == 'adamw(learning_rate=0.1, weight_decay=0.0)'
    optimizer = settings.build()
    params = {'w': jnp.ones(2)}
    updates, _ = optimizer.update(params, optimizer.init(params), params)
    np.testing.assert_allclose(updates['w'], -0.1, rtol=1e-4)
    scheduled = adamw(learning_rate=wrap(optax.linear_schedule)(1.0, 0.0, 10))
    assert callable(scheduled.learning_rate.build()) and scheduled.build().init(params)


def test_wrapped_arguments_are_checked_and_open_ones_refused():
    dense = wrap(nn.Dense)
    with pytest.raises(TypeError, match=r'Dense\.features: expected int'):
        dense('wide')
    with pytest.raises(TypeError, match=r"no field 'feature'.*Did you mean 'features'"):
        dense(feature=3)
    with pytest.raises(RuntimeError, match='cannot be built while parts are open: features'):
        dense(pg.oneof([1, 2])).build()
    adam = wrap(optax.adam)
    for open_one in (adam(pg.floatv(0.1, 0.2)), adam.partial(), adam(pg.inherited('lr'))):
        with pytest.raises(RuntimeError, match='adam cannot be built while parts are open: learning_rate'):
            pg.build({'optimizers': [open_one]})
    with pytest.raises(TypeError, match='not int'):
        wrap(3)
    with pytest.raises(TypeError, match='takes a module'):
        wrap_module(nn.Dense)


def test_a_shared_wrapped_object_is_built_once():
    cell = wrap(fractions.Fraction)(1, 2)
    both = symbolic.build(pg.Dict(a=cell, b=[cell]))
    assert both['a'] is both['b'][0] and type(both) is dict


# Detours -------------------------------------------------------------------------------------------------------


class Plain:
    def __init__(self, x):
        self.x = x


class Derived(Plain):
    calls = 0

    def __init__(self, x):
        Derived.calls += 1
        super().__init__(x + 1)


class Other:
    def __init__(self, x):
        self.inner = Plain(x)


def test_detours_nest_and_end():
    with detour([(Plain, Other)]):
        assert type(Plain(1)) is Other and type(Plain(1).inner) is Plain
        with detour([(Plain, Derived)]):
            Derived.calls = 0
            assert Plain(1).x == 2 and Derived.calls == 1
        assert type(Plain(1)) is Other
        with pytest.raises(ZeroDivisionError), detour([(Plain, lambda x: x)]):
            assert Plain(7) == 7
            1 / 0  # noqa: B018
        assert type(Plain(1)) is Other
    assert type(Plain(1)) is Plain and Plain(x=1).x == 1


def test_detours_of_symbolic_classes():
    with detour([(Model, lambda widths: tower(len(widths)))]):
        assert Model([1, 2]) == tower(2)
    assert Model([1, 2]).widths == [1, 2]


def test_detours_stay_in_their_thread_and_task():
    seen = []
    with detour([(Plain, Other)]):
        thread = threading.Thread(target=lambda: seen.append(type(Plain(1))))
        thread.start()
        thread.join()
    assert seen == [Plain]

    async def inside(ready, done):
        with detour([(Plain, Other)]):
            ready.set()
            await done.wait()
            return type(Plain(1))

    async def both():
        ready, done = asyncio.Event(), asyncio.Event()
        task = asyncio.create_task(inside(ready, done))
        await ready.wait()
        mine = type(Plain(1))
        done.set()
        return mine, await task

    assert asyncio.run(both()) == (Plain, Other)


def test_detours_that_cannot_be():
    with pytest.raises(TypeError, match='cannot be detoured'), detour([(int, float)]):
        pass
    with pytest.raises(TypeError, match='no class'), detour([(len, float)]):  # type: ignore[list-item]
        pass


class Regular:
    def __init__(self, x):
        self.doubled = 2 * x


def test_a_symbolized_class_is_extended_through_its_regular_one():
    symbolized = pg.symbolize(Regular)
    with pytest.raises(TypeError, match=r'Regular is symbolic already.*derive from that'):

        @pg.symbolize
        class Wrong(symbolized):
            def __init__(self, x, y):
                super().__init__(x)

    @pg.symbolize
    class Extended(Regular):
        def __init__(self, x, y):
            super().__init__(x)
            self.sum = self.doubled + y

    assert Extended(1, 2).rebind(y=3).sum == 5


def test_a_functor_needs_a_function_with_a_name():
    with pytest.raises(pg.ClassDefinitionError, match='whose name the class gets; functools'):
        functor(functools.partial(str.join, ' '))


@symbolize
class Greeting:
    def __init__(self, subject):
        self._text = f'Hello, {subject}!'


class Loud(Greeting):
    marks: int = 3

    def text(self) -> str:
        return self._text + '!' * self.marks  # type: ignore[attr-defined]


def test_a_subclass_of_a_symbolized_class_may_declare_fields():
    loud = Loud('JAX')  # type: ignore[call-arg]
    assert loud.text() == 'Hello, JAX!!!!' and repr(loud) == "Loud(subject='JAX', marks=3)"
    assert loud.rebind(marks=0, subject='World').text() == 'Hello, World!'  # type: ignore[attr-defined]
