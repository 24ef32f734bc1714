"""What can go wrong, by the exit code it ends in. Each message is one line: what is wrong, where, what to do."""


class FalconEdgeError(Exception):
    """Base of every error that a user can cause or must act on."""

    exit_code = 1


class BelowAsked(FalconEdgeError):
    """Parity or accuracy is below what was asked."""

    exit_code = 1


class BadInput(FalconEdgeError):
    """A file, an option or a network that cannot be used."""

    exit_code = 2


class Inconclusive(FalconEdgeError):
    """What was measured does not say enough."""

    exit_code = 3


class DeviceFailed(FalconEdgeError):
    """A device or a worker on it failed."""

    exit_code = 4
