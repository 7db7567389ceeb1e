/* Preloaded: fsync and fdatasync fail with EIO from the call on that FAILING_FSYNC_AFTER names. */
#define _GNU_SOURCE
#include <errno.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

static long calls;

static int sync_or_fail(long number, int fd) {
    const char *after = getenv("FAILING_FSYNC_AFTER");
    if (after != NULL && ++calls > atol(after)) {
        errno = EIO;
        return -1;
    }
    return (int)syscall(number, fd);
}

int fsync(int fd) { return sync_or_fail(SYS_fsync, fd); }
int fdatasync(int fd) { return sync_or_fail(SYS_fdatasync, fd); }
