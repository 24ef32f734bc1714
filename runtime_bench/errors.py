"""What can go wrong in a measurement. Each message is one line."""


class BenchInputError(Exception):
    """A file, an option or results that cannot be used."""


class DeviceError(Exception):
    """A device cannot be reached or used."""


class WorkerError(DeviceError):
    """A worker failed; `kind` says how, in one word for programs; `signal` names what killed it."""

    def __init__(self, message: str, *, kind: str, signal: str | None = None):
        super().__init__(message)
        self.kind, self.signal = kind, signal


class CannotCount(DeviceError):
    """An emulator that does not count."""
