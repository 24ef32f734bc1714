"""arm64: this machine where it is one, and emulated by QEMU everywhere else."""
