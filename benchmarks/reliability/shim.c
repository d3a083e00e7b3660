/* Failures at will, for torture: loaded before all other libraries (LD_PRELOAD), it counts the calls
   that change something below one folder, and kills the process at one of them, or makes it fail.

   What to do is in a block of memory that the file TORTURE_CONTROL holds: whoever mapped it says
   what, for this process and all that it starts. shim.py describes the same block. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

enum how { COUNT, KILL_BEFORE, KILL_AFTER, KILL_TORN, FAIL, SHORT };

struct control {
  int64_t count;    /* calls so far, of all processes */
  int64_t at;       /* which of them is struck, from 1 */
  int32_t how;      /* enum how */
  int32_t error;    /* errno of a failure */
  int32_t sticky;   /* whether all later calls that need room fail as well */
  int32_t struck;   /* how often it struck */
  char what[256];   /* the call that was struck first */
  char folder[1024]; /* absolute, without a slash at its end; empty strikes nothing */
};

static struct control *control;

/* A process that only looks on takes no part. */
void torture_exempt(void) { control = NULL; }

__attribute__((constructor)) static void begin(void) {
  const char *path = getenv("TORTURE_CONTROL");
  if (path == NULL) return;
  int fd = (int)open(path, O_RDWR | O_CLOEXEC);
  if (fd < 0) return;
  void *block = mmap(NULL, sizeof *control, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  close(fd);
  if (block != MAP_FAILED) control = block;
}

#define REAL(name) \
  static __typeof__(name) *real; \
  if (real == NULL) real = (__typeof__(name) *)dlsym(RTLD_NEXT, #name)

static int below(const char *path) {
  size_t length = strlen(control->folder);
  return length > 0 && strncmp(path, control->folder, length) == 0 &&
         (path[length] == '/' || path[length] == 0);
}

static void die(void) {
  kill(getpid(), SIGKILL);
  for (;;) pause();
}

/* What is to happen to this call: COUNT is nothing. */
static enum how strike(const char *call, const char *path, int needs_room) {
  if (control == NULL || control->folder[0] == 0 || path == NULL || !below(path)) return COUNT;
  int64_t now = __atomic_add_fetch(&control->count, 1, __ATOMIC_SEQ_CST);
  if (control->how == COUNT || control->at <= 0) return COUNT;
  int late = control->sticky && needs_room && now > control->at && control->how == FAIL;
  if (now != control->at && !late) return COUNT;
  if (__atomic_add_fetch(&control->struck, 1, __ATOMIC_SEQ_CST) == 1)
    snprintf(control->what, sizeof control->what, "%s %s", call,
             path + strlen(control->folder) + (path[strlen(control->folder)] == '/'));
  if (control->how == KILL_BEFORE) die();
  if (control->how == FAIL) errno = control->error;
  return (enum how)control->how;
}

static enum how strike_fd(const char *call, int fd, int needs_room) {
  if (control == NULL || control->folder[0] == 0) return COUNT;
  char link[64], path[PATH_MAX];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  int kept = errno;
  ssize_t length = readlink(link, path, sizeof path - 1);
  errno = kept;
  if (length < 0) return COUNT;
  path[length] = 0;
  return strike(call, path, needs_room);
}

/* Of a write, the part that is done before it is torn: whole sectors. */
static size_t torn(size_t size) { return size > 1024 ? size / 1024 * 512 : 0; }

#define AROUND(verdict, bad, call) \
  do { \
    enum how h_ = (verdict); \
    if (h_ == FAIL) return bad; \
    __typeof__(call) result_ = (call); \
    if (h_ == KILL_AFTER || h_ == KILL_TORN) die(); \
    return result_; \
  } while (0)

#define WRITING(verdict, size, whole, part) \
  do { \
    enum how h_ = (verdict); \
    if (h_ == FAIL) return -1; \
    if (h_ == KILL_TORN) { \
      size_t done = torn(size); \
      if (done > 0 && (part) < 0) die(); \
      die(); \
    } \
    if (h_ == SHORT && (size) > 1) { \
      size_t done = (size) / 2; \
      return (part); \
    } \
    ssize_t result_ = (whole); \
    if (h_ == KILL_AFTER) die(); \
    return result_; \
  } while (0)

ssize_t write(int fd, const void *data, size_t size) {
  REAL(write);
  WRITING(strike_fd("write", fd, 1), size, real(fd, data, size), real(fd, data, done));
}

ssize_t pwrite(int fd, const void *data, size_t size, off_t at) {
  REAL(pwrite);
  WRITING(strike_fd("pwrite", fd, 1), size, real(fd, data, size, at), real(fd, data, done, at));
}

ssize_t pwrite64(int fd, const void *data, size_t size, off64_t at) {
  REAL(pwrite64);
  WRITING(strike_fd("pwrite", fd, 1), size, real(fd, data, size, at), real(fd, data, done, at));
}

static size_t total(const struct iovec *parts, int count) {
  size_t size = 0;
  for (int i = 0; i < count; i++) size += parts[i].iov_len;
  return size;
}

/* The first `size` bytes of the parts. */
static ssize_t some(int fd, const struct iovec *parts, int count, size_t size) {
  REAL(writev);
  struct iovec fewer[IOV_MAX];
  int used = 0;
  for (; used < count && used < IOV_MAX && size > 0; used++) {
    fewer[used] = parts[used];
    if (fewer[used].iov_len > size) fewer[used].iov_len = size;
    size -= fewer[used].iov_len;
  }
  return real(fd, fewer, used);
}

ssize_t writev(int fd, const struct iovec *parts, int count) {
  REAL(writev);
  size_t size = total(parts, count);
  WRITING(strike_fd("writev", fd, 1), size, real(fd, parts, count), some(fd, parts, count, done));
}

ssize_t pwritev(int fd, const struct iovec *parts, int count, off_t at) {
  REAL(pwritev);
  AROUND(strike_fd("pwritev", fd, 1), -1, real(fd, parts, count, at));
}

ssize_t pwritev64(int fd, const struct iovec *parts, int count, off64_t at) {
  REAL(pwritev64);
  AROUND(strike_fd("pwritev", fd, 1), -1, real(fd, parts, count, at));
}

ssize_t sendfile64(int out, int in, off64_t *at, size_t size) {
  static ssize_t (*real)(int, int, off64_t *, size_t);
  if (real == NULL) real = (ssize_t(*)(int, int, off64_t *, size_t))dlsym(RTLD_NEXT, "sendfile64");
  AROUND(strike_fd("sendfile", out, 1), -1, real(out, in, at, size));
}

ssize_t copy_file_range(int in, off64_t *from, int out, off64_t *to, size_t size, unsigned flags) {
  REAL(copy_file_range);
  AROUND(strike_fd("copy_file_range", out, 1), -1, real(in, from, out, to, size, flags));
}

int fsync(int fd) {
  REAL(fsync);
  AROUND(strike_fd("fsync", fd, 0), -1, real(fd));
}

int fdatasync(int fd) {
  REAL(fdatasync);
  AROUND(strike_fd("fdatasync", fd, 0), -1, real(fd));
}

int ftruncate(int fd, off_t size) {
  REAL(ftruncate);
  AROUND(strike_fd("ftruncate", fd, 0), -1, real(fd, size));
}

int ftruncate64(int fd, off64_t size) {
  REAL(ftruncate64);
  AROUND(strike_fd("ftruncate", fd, 0), -1, real(fd, size));
}

int rename(const char *old, const char *new) {
  REAL(rename);
  AROUND(strike("rename", new, 0), -1, real(old, new));
}

int link(const char *old, const char *new) {
  REAL(link);
  AROUND(strike("link", new, 1), -1, real(old, new));
}

int unlink(const char *path) {
  REAL(unlink);
  AROUND(strike("unlink", path, 0), -1, real(path));
}

int mkdir(const char *path, mode_t mode) {
  REAL(mkdir);
  AROUND(strike("mkdir", path, 1), -1, real(path, mode));
}

int rmdir(const char *path) {
  REAL(rmdir);
  AROUND(strike("rmdir", path, 0), -1, real(path));
}

#define MAKES(flags) ((flags) & (O_CREAT | O_TRUNC))
#define MODE(flags) \
  mode_t mode = 0; \
  if ((flags) & (O_CREAT | __O_TMPFILE)) { \
    va_list list; \
    va_start(list, flags); \
    mode = va_arg(list, mode_t); \
    va_end(list); \
  }

int open(const char *path, int flags, ...) {
  REAL(open);
  MODE(flags)
  AROUND(MAKES(flags) ? strike("open", path, 1) : COUNT, -1, real(path, flags, mode));
}

int open64(const char *path, int flags, ...) {
  REAL(open64);
  MODE(flags)
  AROUND(MAKES(flags) ? strike("open", path, 1) : COUNT, -1, real(path, flags, mode));
}

int openat(int folder, const char *path, int flags, ...) {
  REAL(openat);
  MODE(flags)
  AROUND(MAKES(flags) ? strike("open", path, 1) : COUNT, -1, real(folder, path, flags, mode));
}

int openat64(int folder, const char *path, int flags, ...) {
  REAL(openat64);
  MODE(flags)
  AROUND(MAKES(flags) ? strike("open", path, 1) : COUNT, -1, real(folder, path, flags, mode));
}
