"""Measurement that can be trusted: knows files, runtimes and devices; never imports torch."""
