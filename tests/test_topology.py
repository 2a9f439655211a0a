"""Searches in several processes at once, as on several hosts."""

import json
import pathlib
import socket
import subprocess
import sys

import pytest

CHILD = pathlib.Path(__file__).parent / 'gang_child.py'


def gang(path):
    """What two processes with two devices each print."""
    with socket.socket() as found:
        found.bind(('127.0.0.1', 0))
        port = str(found.getsockname()[1])
    children = [
        subprocess.Popen([sys.executable, CHILD, str(i), port, path], stdout=subprocess.PIPE, text=True)
        for i in range(2)
    ]
    try:
        return [json.loads(child.communicate(timeout=120)[0].splitlines()[-1]) for child in children]
    finally:
        for child in children:
            child.kill()
            child.wait()


@pytest.mark.slow
def test_several_processes_search_as_one_alone_does(tmp_path):
    first, second = gang(str(tmp_path / 'study'))
    alone, together, resumed, *_ = first
    assert alone == together != resumed
    assert second[:3] == first[:3]
    assert 'of several processes one keeps the study, process 0, and this is 1' in second[3]
    assert 'No device of the mesh belongs to this process, 1 of 2; it has devices of [0]' in second[4]
