"""`python -m falcon_edge`: the same program as `falcon-edge`."""

from falcon_edge.cli.main import main

main()
