"""These files are for type checkers, and for tests/test_types.py to run: pytest itself imports none of them."""

collect_ignore_glob = ['*.py']
