"""The steps from a trained network to a faster one, each a function that a notebook can call.

pack or train -> compress -> export -> bench -> compare. Here, and in falcon_edge.cli, the three libraries
(falcon_edge.falcon, converters, runtime_bench) are wired together.
"""
