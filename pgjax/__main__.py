"""`python -m pgjax` is the command `pgjax`."""

from pgjax.cli import main

raise SystemExit(main())
