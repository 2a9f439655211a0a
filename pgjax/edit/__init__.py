"""Floor 2, editing: lenses, patches and their URIs, differences, and the history of what was patched."""

from pgjax.edit._at import Focus, at
from pgjax.edit._diff import Change, Diff, diff
from pgjax.edit._engine import patch
from pgjax.edit._history import history
from pgjax.edit._lens import Lens, lens
from pgjax.edit._on import patch_on_key, patch_on_member, patch_on_path, patch_on_type, patch_on_value
from pgjax.edit._patch import Chain, Patch
from pgjax.edit._patcher import patcher
from pgjax.edit._patcher_registry import PatcherInfo, load_patchers, patchers
from pgjax.edit._uri import from_uri, to_uri
from pgjax.edit._work import PatchError

__all__ = [
    'Chain',
    'Change',
    'Diff',
    'Focus',
    'Lens',
    'Patch',
    'PatchError',
    'PatcherInfo',
    'at',
    'diff',
    'from_uri',
    'history',
    'lens',
    'load_patchers',
    'patch',
    'patch_on_key',
    'patch_on_member',
    'patch_on_path',
    'patch_on_type',
    'patch_on_value',
    'patcher',
    'patchers',
    'to_uri',
]
