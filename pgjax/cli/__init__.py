"""Floor 5, the command line: run, show, edit and compare what is in files, and look after studies."""

from pgjax.cli._main import main

__all__ = ['main']
