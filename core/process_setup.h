#pragma once

namespace sweep {

/// What each program does first, before it opens a file or starts a thread:
/// - closed standard streams are opened on /dev/null, so that no file of the program gets
///   descriptor 0, 1 or 2 and then receives messages in its content;
/// - SIGXFSZ is ignored, so that a write over the file size limit (RLIMIT_FSIZE) fails with EFBIG
///   instead of killing the process, and SIGPIPE, so that a message which nobody reads does not.
void PrepareProcess();

}  // namespace sweep
