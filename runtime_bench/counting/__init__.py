"""Counting what an inference does on an emulated CPU: a QEMU plugin, built on the machine that needs it."""
