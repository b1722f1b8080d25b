"""`python -m qvq_cli` is `qvq`."""

from qvq_cli.cli.app import run

run()
