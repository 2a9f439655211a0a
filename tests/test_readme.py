"""The README says what is true: its example prints what stands there."""

import contextlib
import io
import pathlib
import re

README = (pathlib.Path(__file__).parent.parent / 'README.md').read_text()


def test_the_example_prints_its_output():
    ((code, output),) = re.findall(r'```python\n(.*?)```\n\n```text\n(.*?)```', README, re.DOTALL)
    assert len(code.strip().splitlines()) <= 14
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(code, 'README.md', 'exec'), {'__name__': 'readme'})
    assert printed.getvalue() == output


def test_every_linked_file_exists():
    for target in re.findall(r'\]\(([^)#:]+)\)', README):
        assert (pathlib.Path(__file__).parent.parent / target).exists(), target
