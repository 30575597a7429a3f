// Preloaded into a program. Each call by which it changes a file is a step; before the step KILL_AT
// the process gets the signal KILL_WITH. A process that ends by itself says on standard error how
// many steps it took and what its peak of memory was.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

static int steps;

static void step(int counts) {
    static int at = -1;
    if (at < 0) at = atoi(getenv("KILL_AT"));
    if (counts && __sync_add_and_fetch(&steps, 1) == at) kill(getpid(), atoi(getenv("KILL_WITH")));
}

#define CALL(type, name, parameters, arguments, counts) \
    type name parameters { \
        static type(*real) parameters; \
        if (!real) real = (type(*) parameters)dlsym(RTLD_NEXT, #name); \
        step(counts); \
        return real arguments; \
    }

// What goes to a terminal or a pipe of the caller is no file.
CALL(ssize_t, write, (int fd, const void *bytes, size_t n), (fd, bytes, n), fd > 2)
CALL(ssize_t, writev, (int fd, const struct iovec *parts, int n), (fd, parts, n), fd > 2)
CALL(ssize_t, pwrite64, (int fd, const void *bytes, size_t n, off64_t at), (fd, bytes, n, at), 1)
CALL(ssize_t, copy_file_range, (int from, off64_t *a, int to, off64_t *b, size_t n, unsigned how),
     (from, a, to, b, n, how), 1)
CALL(int, ftruncate64, (int fd, off64_t n), (fd, n), 1)
CALL(int, fsync, (int fd), (fd), 1)
CALL(int, fdatasync, (int fd), (fd), 1)
CALL(int, mkdir, (const char *path, mode_t mode), (path, mode), 1)
CALL(int, rmdir, (const char *path), (path), 1)
CALL(int, rename, (const char *from, const char *to), (from, to), 1)
CALL(int, link, (const char *from, const char *to), (from, to), 1)
CALL(int, linkat, (int a, const char *from, int b, const char *to, int how), (a, from, b, to, how), 1)
CALL(int, symlink, (const char *to, const char *path), (to, path), 1)
CALL(int, unlink, (const char *path), (path), 1)
CALL(int, unlinkat, (int at, const char *path, int how), (at, path, how), 1)

int open64(const char *path, int how, ...) {
    static int (*real)(const char *, int, ...);
    va_list rest;
    va_start(rest, how);
    mode_t mode = how & O_CREAT ? va_arg(rest, mode_t) : 0;
    va_end(rest);
    if (!real) real = (int (*)(const char *, int, ...))dlsym(RTLD_NEXT, "open64");
    step(how & (O_CREAT | O_TRUNC));
    return real(path, how, mode);
}

__attribute__((destructor)) static void tell(void) {
    char line[256];
    FILE *status = fopen("/proc/self/status", "r");
    while (fgets(line, sizeof line, status))
        if (!strncmp(line, "VmHWM:", 6)) dprintf(2, "steps %d, peak %d KiB\n", steps, atoi(line + 6));
}
