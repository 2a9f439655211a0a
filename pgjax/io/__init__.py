"""Floor 2, files: values as JSON that executes nothing, files replaced whole, arrays that know when they are torn."""

from pgjax.io._arrays import load_arrays, save_arrays, to_host
from pgjax.io._codecs import register_codec
from pgjax.io._content_hash import content_hash
from pgjax.io._json import from_json, from_json_str, to_json, to_json_str
from pgjax.io._persist import load, save
from pgjax.io._places import write_atomic
from pgjax.io._repository import Repository
from pgjax.io._unknown import UnknownObject

__all__ = [
    'Repository',
    'UnknownObject',
    'content_hash',
    'from_json',
    'from_json_str',
    'load',
    'load_arrays',
    'register_codec',
    'save',
    'save_arrays',
    'to_host',
    'to_json',
    'to_json_str',
    'write_atomic',
]
