#include "core/process_setup.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <initializer_list>

namespace sweep {
namespace {

// open(2) takes the lowest descriptor that is free, so the streams are looked at in ascending
// order.
void OpenStandardStreams() {
  for (const int stream : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    if (::fcntl(stream, F_GETFD) >= 0 || errno != EBADF) continue;
    if (::open("/dev/null", O_RDWR) < 0) ::_exit(1);  // there is nowhere to say why
  }
}

}  // namespace

void PrepareProcess() {
  OpenStandardStreams();
  for (const int signal : {SIGXFSZ, SIGPIPE}) (void)::signal(signal, SIG_IGN);
}

}  // namespace sweep
