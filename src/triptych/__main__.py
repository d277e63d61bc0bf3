"""``python -m triptych`` is the command line."""

from triptych.cli import main

main()
