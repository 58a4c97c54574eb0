// Preloaded into programs to let system calls fail as odd file systems and containers let them: ERRNO_SHIM is a list such as
// "link=1,flock=38,folder_fsync=22,renameat2=22,pidfd_open=1" of calls with the errno that each gives.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define NEXT(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

// Sets errno and returns 1 where the call is to fail.
static int Fails(const char* call) {
  const char* list = getenv("ERRNO_SHIM");
  char key[64];
  snprintf(key, sizeof(key), "%s=", call);
  const char* found = list == NULL ? NULL : strstr(list, key);
  if (found == NULL || (found != list && found[-1] != ',')) return 0;
  errno = atoi(found + strlen(key));
  return 1;
}

int link(const char* from, const char* to) { return Fails("link") ? -1 : NEXT(link)(from, to); }
int flock(int fd, int operation) { return Fails("flock") ? -1 : NEXT(flock)(fd, operation); }
int renameat2(int from_fd, const char* from, int to_fd, const char* to, unsigned flags) {
  return Fails("renameat2") ? -1 : NEXT(renameat2)(from_fd, from, to_fd, to, flags);
}
int fsync(int fd) {
  struct stat info;
  if (fstat(fd, &info) == 0 && S_ISDIR(info.st_mode) && Fails("folder_fsync")) return -1;
  return NEXT(fsync)(fd);
}
long syscall(long number, ...) {
  va_list list;
  va_start(list, number);
  long values[6];
  for (int i = 0; i < 6; ++i) values[i] = va_arg(list, long);
  va_end(list);
  if (number == SYS_pidfd_open && Fails("pidfd_open")) return -1;
  return NEXT(syscall)(number, values[0], values[1], values[2], values[3], values[4], values[5]);
}
