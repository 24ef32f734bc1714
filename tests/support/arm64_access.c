/* For LD_PRELOAD of qemu-aarch64: its faccessat does not look below -L (here QEMU_LD_PREFIX) first, as its open and stat
 * do, so that a shell's `[ -r FILE ]` would ask for this machine's file. Seen in 7.2. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

int faccessat(int folder, const char *path, int mode, int flags)
{
	int (*real)(int, const char *, int, int) = (int (*)(int, const char *, int, int))dlsym(RTLD_NEXT, "faccessat");
	const char *prefix = getenv("QEMU_LD_PREFIX");
	char inside[PATH_MAX];

	if (prefix && path[0] == '/' && snprintf(inside, sizeof inside, "%s%s", prefix, path) < (int)sizeof inside &&
	    access(inside, F_OK) == 0)
		path = inside;
	return real(folder, path, mode, flags);
}
