// Preloaded into `sweep`: kills it with SIGKILL just before its CRASH_AT-th call of fsync, fdatasync, rename, link or
// unlink (counted from 1), as a power cut or the out-of-memory killer might. Calls are counted in this process alone.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

static int calls = 0;
static pid_t counted_process = 0;

__attribute__((constructor)) static void Start(void) {
  counted_process = getpid();
  // Trainers started from here are not to be killed by this.
  unsetenv("LD_PRELOAD");
}

static void Count(void) {
  const char* at = getenv("CRASH_AT");
  if (at != NULL && getpid() == counted_process && ++calls == atoi(at)) kill(getpid(), SIGKILL);
}

#define NEXT(name, type) ((type)dlsym(RTLD_NEXT, name))

int fsync(int fd) {
  Count();
  return NEXT("fsync", int (*)(int))(fd);
}
int fdatasync(int fd) {
  Count();
  return NEXT("fdatasync", int (*)(int))(fd);
}
int rename(const char* from, const char* to) {
  Count();
  return NEXT("rename", int (*)(const char*, const char*))(from, to);
}
int link(const char* from, const char* to) {
  Count();
  return NEXT("link", int (*)(const char*, const char*))(from, to);
}
int unlink(const char* path) {
  Count();
  return NEXT("unlink", int (*)(const char*))(path);
}
