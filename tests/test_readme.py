"""The README says what is true: its example prints what stands there."""

import contextlib
import io
import pathlib
import re
from xml.etree import ElementTree

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


def test_the_picture_has_colours_for_all_its_parts_in_light_and_dark():
    text = (pathlib.Path(__file__).parent.parent / 'examples' / 'digits.svg').read_text()
    style = text.partition('<style>')[2].partition('</style>')[0]
    light, dark = re.findall(r':root \{(.*?)\}', style, re.DOTALL)
    names = set(re.findall(r'var\((--\w+)\)', style))
    assert all(f'{name}:' in light and f'{name}:' in dark for name in names)
    classes = {part.get('class') for part in ElementTree.fromstring(text).iter()} - {None}
    assert classes <= set(re.findall(r'\.(\w+)', style))
