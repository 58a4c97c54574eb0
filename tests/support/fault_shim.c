// Preloaded into a program to disturb one of its calls that change files: what a power cut, the out-of-memory killer,
// a full or a broken disk do. Only the program named FAULT_PROGRAM is disturbed, and only where it changes files
// below FAULT_FOLDER; its calls are counted from 1.
//
//   FAULT_AT=N      the call to disturb; absent: none, calls are only counted
//   FAULT           kill     SIGKILL in place of the call
//                   torn     as kill, after the first half of a write
//                   enospc   the disk is full from this call on: half of a write, then nothing; what frees room works
//                   enospc_once  there is no room for this call alone: half of a write, then an error for the rest
//                   eio      every call fails from this one on
//                   eio_once this one fails
//   FAULT_MARK      file that is made when the fault strikes; where it is there already, nothing is disturbed
//   FAULT_COUNT     file that gets the number of calls when the program ends
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

// What a call does to the room on a disk.
enum Effect { kTakesRoom, kKeepsRoom };
enum Verdict { kGoOn, kFail, kHalf };

static pid_t watched_process = 0;  // 0: this program is not disturbed
static char folder[PATH_MAX];
static size_t folder_length = 0;
static const char* kind = "";
static int fault_at = 0;
static int no_room_for_the_rest = 0;  // enospc_once struck in the middle of a write
static atomic_int calls = 0;

#define NEXT(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

static void WriteText(const char* path, int number) {
  FILE* out = fopen(path, "we");  // inside the C library, so not counted
  if (out == NULL) return;
  fprintf(out, "%d\n", number);
  fclose(out);
}

__attribute__((constructor)) static void Start(void) {
  const char* program = getenv("FAULT_PROGRAM");
  const char* below = getenv("FAULT_FOLDER");
  const char* mark = getenv("FAULT_MARK");
  if (program == NULL || below == NULL || strcmp(program, program_invocation_short_name) != 0) return;
  if (mark != NULL && access(mark, F_OK) == 0) return;
  snprintf(folder, sizeof(folder), "%s/", below);
  folder_length = strlen(folder);
  if (getenv("FAULT") != NULL) kind = getenv("FAULT");
  if (getenv("FAULT_AT") != NULL) fault_at = atoi(getenv("FAULT_AT"));
  watched_process = getpid();
}

__attribute__((destructor)) static void End(void) {
  const char* count = getenv("FAULT_COUNT");
  if (watched_process == getpid() && count != NULL) WriteText(count, calls);
}

static int IsBelowFolder(int at_fd, const char* path) {
  char absolute[2 * PATH_MAX] = "";
  if (path[0] != '/') {
    char link_name[64];
    char base[PATH_MAX];
    snprintf(link_name, sizeof(link_name), at_fd == AT_FDCWD ? "/proc/self/cwd" : "/proc/self/fd/%d", at_fd);
    const ssize_t size = readlink(link_name, base, sizeof(base) - 1);
    if (size < 0) return 0;
    base[size] = '\0';
    snprintf(absolute, sizeof(absolute), "%s/", base);
  }
  strncat(absolute, path, PATH_MAX - 1);
  return strncmp(absolute, folder, folder_length) == 0;
}

static int IsFullDisk(void) { return strncmp(kind, "enospc", strlen("enospc")) == 0; }

static enum Verdict Judge(enum Effect effect) {
  const int call = atomic_fetch_add(&calls, 1) + 1;
  if (fault_at == 0 || call < fault_at) return kGoOn;
  const int strikes = call == fault_at;
  if (strikes && getenv("FAULT_MARK") != NULL) WriteText(getenv("FAULT_MARK"), call);
  if (strcmp(kind, "kill") == 0) kill(getpid(), SIGKILL);
  if (strcmp(kind, "torn") == 0) return kHalf;
  if (IsFullDisk()) {
    errno = ENOSPC;
    if (effect == kKeepsRoom) return kGoOn;
    if (call == fault_at) return kHalf;
    const int is_full = strcmp(kind, "enospc") == 0 || no_room_for_the_rest;
    no_room_for_the_rest = 0;
    return is_full ? kFail : kGoOn;
  }
  errno = EIO;
  return strikes || strcmp(kind, "eio") == 0 ? kFail : kGoOn;
}

static enum Verdict OnPath(int at_fd, const char* path, enum Effect effect) {
  if (watched_process == 0 || watched_process != getpid() || !IsBelowFolder(at_fd, path)) return kGoOn;
  const enum Verdict verdict = Judge(effect);
  if (verdict != kHalf) return verdict;
  if (strcmp(kind, "torn") == 0) kill(getpid(), SIGKILL);
  return kFail;
}

static enum Verdict OnFile(int fd, size_t size) {
  if (watched_process == 0 || watched_process != getpid()) return kGoOn;
  char name[PATH_MAX];
  char link_name[64];
  snprintf(link_name, sizeof(link_name), "/proc/self/fd/%d", fd);
  const ssize_t length = readlink(link_name, name, sizeof(name) - 1);
  if (length < 0) return kGoOn;
  name[length] = '\0';
  if (strncmp(name, folder, folder_length) != 0) return kGoOn;
  const enum Verdict verdict = Judge(kTakesRoom);
  if (verdict != kHalf || size > 1) return verdict;
  if (strcmp(kind, "torn") == 0) kill(getpid(), SIGKILL);
  return kFail;
}

static ssize_t AfterHalf(ssize_t written) {
  if (strcmp(kind, "torn") == 0) kill(getpid(), SIGKILL);
  no_room_for_the_rest = strcmp(kind, "enospc_once") == 0;
  return written;
}

ssize_t write(int fd, const void* data, size_t size) {
  const enum Verdict verdict = OnFile(fd, size);
  if (verdict == kFail) return -1;
  if (verdict == kHalf) return AfterHalf(NEXT(write)(fd, data, size / 2));
  return NEXT(write)(fd, data, size);
}
ssize_t pwrite(int fd, const void* data, size_t size, off_t at) {
  const enum Verdict verdict = OnFile(fd, size);
  if (verdict == kFail) return -1;
  if (verdict == kHalf) return AfterHalf(NEXT(pwrite)(fd, data, size / 2, at));
  return NEXT(pwrite)(fd, data, size, at);
}
ssize_t pwrite64(int fd, const void* data, size_t size, off64_t at) {
  const enum Verdict verdict = OnFile(fd, size);
  if (verdict == kFail) return -1;
  if (verdict == kHalf) return AfterHalf(NEXT(pwrite64)(fd, data, size / 2, at));
  return NEXT(pwrite64)(fd, data, size, at);
}
ssize_t writev(int fd, const struct iovec* parts, int count) {
  const enum Verdict verdict = OnFile(fd, parts[0].iov_len);
  if (verdict == kFail) return -1;
  if (verdict == kHalf) return AfterHalf(NEXT(write)(fd, parts[0].iov_base, parts[0].iov_len / 2));
  return NEXT(writev)(fd, parts, count);
}
int fsync(int fd) { return OnFile(fd, 0) == kFail ? -1 : NEXT(fsync)(fd); }
int fdatasync(int fd) { return OnFile(fd, 0) == kFail ? -1 : NEXT(fdatasync)(fd); }

static int OnTruncate(int fd, off64_t size) {
  struct stat64 now;
  if (fstat64(fd, &now) == 0 && size <= now.st_size && IsFullDisk()) return kGoOn;
  return OnFile(fd, 0);
}
int ftruncate(int fd, off_t size) { return OnTruncate(fd, size) == kFail ? -1 : NEXT(ftruncate)(fd, size); }
int ftruncate64(int fd, off64_t size) { return OnTruncate(fd, size) == kFail ? -1 : NEXT(ftruncate64)(fd, size); }

int rename(const char* from, const char* to) {
  return OnPath(AT_FDCWD, to, kKeepsRoom) == kFail ? -1 : NEXT(rename)(from, to);
}
int renameat(int from_fd, const char* from, int to_fd, const char* to) {
  return OnPath(to_fd, to, kKeepsRoom) == kFail ? -1 : NEXT(renameat)(from_fd, from, to_fd, to);
}
int link(const char* from, const char* to) {
  return OnPath(AT_FDCWD, to, kTakesRoom) == kFail ? -1 : NEXT(link)(from, to);
}
int unlink(const char* path) { return OnPath(AT_FDCWD, path, kKeepsRoom) == kFail ? -1 : NEXT(unlink)(path); }
int unlinkat(int fd, const char* path, int flags) {
  return OnPath(fd, path, kKeepsRoom) == kFail ? -1 : NEXT(unlinkat)(fd, path, flags);
}
int remove(const char* path) { return OnPath(AT_FDCWD, path, kKeepsRoom) == kFail ? -1 : NEXT(remove)(path); }
int mkdir(const char* path, mode_t mode) {
  return OnPath(AT_FDCWD, path, kTakesRoom) == kFail ? -1 : NEXT(mkdir)(path, mode);
}

// Opening to write is counted; it takes room where it makes the file.
static int OnOpen(int at_fd, const char* path, int flags) {
  if ((flags & O_ACCMODE) == O_RDONLY) return kGoOn;
  const int makes = (flags & O_CREAT) != 0 && faccessat(at_fd, path, F_OK, 0) != 0;
  return OnPath(at_fd, path, makes ? kTakesRoom : kKeepsRoom);
}
#define OPEN_WITH(name, at_fd, ...)                  \
  va_list arguments;                                 \
  va_start(arguments, flags);                        \
  const mode_t mode = va_arg(arguments, mode_t);     \
  va_end(arguments);                                 \
  if (OnOpen(at_fd, path, flags) == kFail) return -1; \
  return NEXT(name)(__VA_ARGS__, mode);

int open(const char* path, int flags, ...) { OPEN_WITH(open, AT_FDCWD, path, flags) }
int open64(const char* path, int flags, ...) { OPEN_WITH(open64, AT_FDCWD, path, flags) }
int openat(int fd, const char* path, int flags, ...) { OPEN_WITH(openat, fd, fd, path, flags) }
int openat64(int fd, const char* path, int flags, ...) { OPEN_WITH(openat64, fd, fd, path, flags) }
