"""PyGlove's Hello: a regular class, changed while the program runs, and then searched over.

One line makes the class symbolic. What PyGlove changes in place is a changed copy here, so nothing else notices.
"""

import pgjax as pg


@pg.symbolize
class Hello:
    def __init__(self, subject: str):
        self._greeting = f'Hello, {subject}!'

    def greet(self) -> None:
        print(self._greeting)


def main() -> None:
    hello = Hello('World')
    hello.greet()

    pg.rebind(hello, subject='PyGlove').greet()

    for each in pg.iter(pg.rebind(hello, subject=pg.oneof(['World', 'PyGlove']))):
        each.greet()


if __name__ == '__main__':
    main()
