"""Where a search runs: a mesh of devices, of this process alone or of several.

Of several processes each runs the whole search, and evaluates its own devices' part of every population; metrics go to
all of them, so that all go on alike. One of them, that of the first device, keeps the study on disk.
"""

from __future__ import annotations

from typing import Any

import jax
import numpy as np

from pgjax._errors import TopologyError, shorten, show


def mesh_of(mesh: Any) -> jax.sharding.Mesh:
    """The devices of a mesh, or the first of this process, under an axis 'pop' whose arrays XLA places.

    Those of an explicit axis, which `jax.make_mesh` makes, would have to be placed along it beforehand.

    Raises:
      TopologyError: it has other axes, or no device of this process.
    """
    if mesh is not None and not (isinstance(mesh, jax.sharding.Mesh) and mesh.axis_names == ('pop',)):
        raise TopologyError(f"A mesh for a search is a jax Mesh with the one axis 'pop', got {show(mesh)}.")
    if mesh is not None and jax.process_index() not in _processes(mesh):
        raise TopologyError(
            f'No device of the mesh belongs to this process, {jax.process_index()} of {jax.process_count()}; it has '
            f'devices of {sorted(_processes(mesh))}. Make it of jax.devices(), or of jax.local_devices().'
        )
    devices = np.array(jax.local_devices()[:1]) if mesh is None else mesh.devices
    return jax.sharding.Mesh(devices, ('pop',), axis_types=(jax.sharding.AxisType.Auto,))


def is_shared(mesh: jax.sharding.Mesh) -> bool:
    """Whether several processes have devices of a mesh."""
    return len(_processes(mesh)) > 1


def require_keeper(mesh: jax.sharding.Mesh | None, path: str) -> None:
    """Refuses to write a study in any process of several but the one that keeps it.

    Raises:
      TopologyError: this is another one.
    """
    if not isinstance(mesh, jax.sharding.Mesh) or not is_shared(mesh):
        return  # another kind of mesh is refused where it is used
    here, keeper = jax.process_index(), mesh.devices.flat[0].process_index
    if here != keeper:
        raise TopologyError(
            f'{shorten(path, 120)}: of several processes one keeps the study, process {keeper}, and this is {here}. '
            f'Begin with path=None here, and go on with search.Study.load(path, mesh=mesh).fork(), a copy in memory.'
        )


def _processes(mesh: jax.sharding.Mesh) -> set[int]:
    return {device.process_index for device in mesh.devices.flat}
