"""Compress a trained CNN with FALCON, export it, and prove on the device that it got faster."""

__version__ = "0.1.0"
