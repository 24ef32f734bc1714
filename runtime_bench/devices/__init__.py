"""Where a worker executes: one Protocol, one file a device."""
