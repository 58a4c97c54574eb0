// Preloaded into programs to write down, in order, every call that changes files below RECORD_FOLDER and every sync, so
// that tests/support/power_loss.py can tell what a disk might hold after a loss of power. Records go to the file
// RECORD_LOG, appended by all programs and processes that the shim is loaded into.
//
// A record is a line of fields separated by tabs, after which as many bytes follow as its last field says. Files and folders
// are named by their inodes, names by the folder they stand in:
//   create INODE FOLDER NAME · mkdir INODE FOLDER NAME · link INODE FOLDER NAME · unlink FOLDER NAME
//   rename FOLDER NAME FOLDER NAME · write INODE OFFSET · truncate INODE SIZE · sync INODE
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#define NEXT(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

static char folder[PATH_MAX];
static size_t folder_length = 0;  // 0: nothing is recorded
static int log_fd = -1;

__attribute__((constructor)) static void Start(void) {
  const char* below = getenv("RECORD_FOLDER");
  const char* log = getenv("RECORD_LOG");
  if (below == NULL || log == NULL) return;
  log_fd = NEXT(open)(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  if (log_fd < 0) return;
  // Away from the descriptors that a program may want for itself.
  const int high = fcntl(log_fd, F_DUPFD_CLOEXEC, 200);
  if (high >= 0) {
    close(log_fd);
    log_fd = high;
  }
  snprintf(folder, sizeof(folder), "%s", below);
  folder_length = strlen(folder);
}

static void Record(const char* line, const struct iovec* parts, int count, size_t size) {
  struct iovec all[1 + 64];
  char head[4 * PATH_MAX];
  const int length = snprintf(head, sizeof(head), "%s\t%zu\n", line, size);
  all[0].iov_base = head;
  all[0].iov_len = (size_t)length;
  for (int i = 0; i < count && i < 64; ++i) all[i + 1] = parts[i];
  if (NEXT(writev)(log_fd, all, 1 + count) < 0) abort();
}

// The absolute path of a name; below the folder or not.
static int Absolute(int at_fd, const char* path, char* absolute) {
  if (folder_length == 0) return 0;
  if (path[0] == '/') {
    snprintf(absolute, PATH_MAX, "%s", path);
  } else {
    char link_name[64];
    char base[PATH_MAX];
    snprintf(link_name, sizeof(link_name), at_fd == AT_FDCWD ? "/proc/self/cwd" : "/proc/self/fd/%d", at_fd);
    const ssize_t size = readlink(link_name, base, sizeof(base) - 1);
    if (size < 0) return 0;
    base[size] = '\0';
    if (snprintf(absolute, PATH_MAX, "%s/%s", base, path) >= PATH_MAX) return 0;
  }
  return strncmp(absolute, folder, folder_length) == 0 && absolute[folder_length] == '/';
}

static unsigned long InodeOf(const char* path) {
  struct stat info;
  return lstat(path, &info) == 0 ? (unsigned long)info.st_ino : 0;
}

static unsigned long FolderOf(const char* path) {
  char copy[PATH_MAX];
  snprintf(copy, sizeof(copy), "%s", path);
  return InodeOf(dirname(copy));
}

static const char* NameIn(const char* path) { return strrchr(path, '/') + 1; }

// Is the file or folder behind a descriptor below the folder (or the folder itself)?
static int IsRecorded(int fd, unsigned long* inode) {
  if (folder_length == 0 || fd == log_fd) return 0;
  char link_name[64];
  char path[PATH_MAX];
  struct stat info;
  snprintf(link_name, sizeof(link_name), "/proc/self/fd/%d", fd);
  const ssize_t size = readlink(link_name, path, sizeof(path) - 1);
  if (size < 0) return 0;
  path[size] = '\0';
  if (strncmp(path, folder, folder_length) != 0 || (path[folder_length] != '/' && path[folder_length] != '\0')) return 0;
  if (fstat(fd, &info) != 0) return 0;
  *inode = (unsigned long)info.st_ino;
  return 1;
}

static void RecordEntry(const char* what, const char* path) {
  char line[2 * PATH_MAX];
  snprintf(line, sizeof(line), "%s\t%lu\t%lu\t%s", what, InodeOf(path), FolderOf(path), NameIn(path));
  Record(line, NULL, 0, 0);
}

static void RecordGone(const char* path) {
  char line[2 * PATH_MAX];
  snprintf(line, sizeof(line), "unlink\t%lu\t%s", FolderOf(path), NameIn(path));
  Record(line, NULL, 0, 0);
}

static void RecordNumber(const char* what, int fd, long number) {
  unsigned long inode = 0;
  char line[128];
  if (!IsRecorded(fd, &inode)) return;
  snprintf(line, sizeof(line), "%s\t%lu\t%ld", what, inode, number);
  Record(line, NULL, 0, 0);
}

static void RecordWrite(int fd, const struct iovec* parts, int count, long end_offset, long offset, ssize_t written) {
  unsigned long inode = 0;
  char line[128];
  if (written <= 0 || !IsRecorded(fd, &inode)) return;
  if (count > 1) {  // a gathered write may have been cut anywhere: one piece
    char* whole = malloc((size_t)written);
    size_t size = 0;
    for (int i = 0; i < count && size < (size_t)written; ++i) {
      const size_t rest = (size_t)written - size;
      const size_t piece = parts[i].iov_len < rest ? parts[i].iov_len : rest;
      memcpy(whole + size, parts[i].iov_base, piece);
      size += piece;
    }
    const struct iovec part = {whole, (size_t)written};
    RecordWrite(fd, &part, 1, end_offset, offset, written);
    free(whole);
    return;
  }
  const struct iovec part = {parts[0].iov_base, (size_t)written};
  snprintf(line, sizeof(line), "write\t%lu\t%ld", inode, offset >= 0 ? offset : end_offset - (long)written);
  Record(line, &part, 1, (size_t)written);
}

ssize_t write(int fd, const void* data, size_t size) {
  const ssize_t written = NEXT(write)(fd, data, size);
  const struct iovec part = {(void*)data, size};
  if (folder_length != 0) RecordWrite(fd, &part, 1, lseek(fd, 0, SEEK_CUR), -1, written);
  return written;
}
ssize_t writev(int fd, const struct iovec* parts, int count) {
  const ssize_t written = NEXT(writev)(fd, parts, count);
  if (folder_length != 0) RecordWrite(fd, parts, count, lseek(fd, 0, SEEK_CUR), -1, written);
  return written;
}
ssize_t pwrite(int fd, const void* data, size_t size, off_t at) {
  const ssize_t written = NEXT(pwrite)(fd, data, size, at);
  const struct iovec part = {(void*)data, size};
  RecordWrite(fd, &part, 1, 0, at, written);
  return written;
}
ssize_t pwrite64(int fd, const void* data, size_t size, off64_t at) {
  const ssize_t written = NEXT(pwrite64)(fd, data, size, at);
  const struct iovec part = {(void*)data, size};
  RecordWrite(fd, &part, 1, 0, at, written);
  return written;
}

int fsync(int fd) {
  const int result = NEXT(fsync)(fd);
  if (result == 0) RecordNumber("sync", fd, 0);
  return result;
}
int fdatasync(int fd) {
  const int result = NEXT(fdatasync)(fd);
  if (result == 0) RecordNumber("sync", fd, 0);
  return result;
}
int ftruncate(int fd, off_t size) {
  const int result = NEXT(ftruncate)(fd, size);
  if (result == 0) RecordNumber("truncate", fd, size);
  return result;
}
int ftruncate64(int fd, off64_t size) {
  const int result = NEXT(ftruncate64)(fd, size);
  if (result == 0) RecordNumber("truncate", fd, size);
  return result;
}

static void RecordRename(int from_fd, const char* from, int to_fd, const char* to) {
  char old_path[PATH_MAX];
  char new_path[PATH_MAX];
  char line[4 * PATH_MAX];
  if (!Absolute(from_fd, from, old_path) || !Absolute(to_fd, to, new_path)) return;
  snprintf(line, sizeof(line), "rename\t%lu\t%s\t%lu\t%s", FolderOf(old_path), NameIn(old_path), FolderOf(new_path),
           NameIn(new_path));
  Record(line, NULL, 0, 0);
}
int rename(const char* from, const char* to) {
  const int result = NEXT(rename)(from, to);
  if (result == 0) RecordRename(AT_FDCWD, from, AT_FDCWD, to);
  return result;
}
int renameat(int from_fd, const char* from, int to_fd, const char* to) {
  const int result = NEXT(renameat)(from_fd, from, to_fd, to);
  if (result == 0) RecordRename(from_fd, from, to_fd, to);
  return result;
}
int renameat2(int from_fd, const char* from, int to_fd, const char* to, unsigned flags) {
  const int result = NEXT(renameat2)(from_fd, from, to_fd, to, flags);
  if (result == 0) RecordRename(from_fd, from, to_fd, to);
  return result;
}
int link(const char* from, const char* to) {
  char path[PATH_MAX];
  const int result = NEXT(link)(from, to);
  if (result == 0 && Absolute(AT_FDCWD, to, path)) RecordEntry("link", path);
  return result;
}
int unlink(const char* name) {
  char path[PATH_MAX];
  const int result = NEXT(unlink)(name);
  if (result == 0 && Absolute(AT_FDCWD, name, path)) RecordGone(path);
  return result;
}
int unlinkat(int fd, const char* name, int flags) {
  char path[PATH_MAX];
  const int result = NEXT(unlinkat)(fd, name, flags);
  if (result == 0 && Absolute(fd, name, path)) RecordGone(path);
  return result;
}
int remove(const char* name) {
  char path[PATH_MAX];
  const int result = NEXT(remove)(name);
  if (result == 0 && Absolute(AT_FDCWD, name, path)) RecordGone(path);
  return result;
}
int rmdir(const char* name) {
  char path[PATH_MAX];
  const int result = NEXT(rmdir)(name);
  if (result == 0 && Absolute(AT_FDCWD, name, path)) RecordGone(path);
  return result;
}
int mkdir(const char* name, mode_t mode) {
  char path[PATH_MAX];
  const int result = NEXT(mkdir)(name, mode);
  if (result == 0 && Absolute(AT_FDCWD, name, path)) RecordEntry("mkdir", path);
  return result;
}

static int WasThere(int at_fd, const char* path) { return faccessat(at_fd, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0; }

static int AfterOpen(int fd, int at_fd, const char* name, int flags, int was_there) {
  char path[PATH_MAX];
  if (fd < 0 || (flags & O_ACCMODE) == O_RDONLY || !Absolute(at_fd, name, path)) return fd;
  if (!was_there) RecordEntry("create", path);
  if (was_there && (flags & O_TRUNC) != 0) RecordNumber("truncate", fd, 0);
  return fd;
}
#define OPEN_WITH(name, at_fd, ...)              \
  va_list arguments;                             \
  va_start(arguments, flags);                    \
  const mode_t mode = va_arg(arguments, mode_t); \
  va_end(arguments);                             \
  const int was_there = WasThere(at_fd, path);   \
  return AfterOpen(NEXT(name)(__VA_ARGS__, mode), at_fd, path, flags, was_there);

int open(const char* path, int flags, ...) { OPEN_WITH(open, AT_FDCWD, path, flags) }
int open64(const char* path, int flags, ...) { OPEN_WITH(open64, AT_FDCWD, path, flags) }
int openat(int fd, const char* path, int flags, ...) { OPEN_WITH(openat, fd, fd, path, flags) }
int openat64(int fd, const char* path, int flags, ...) { OPEN_WITH(openat64, fd, fd, path, flags) }
