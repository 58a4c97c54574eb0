#pragma once

#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>

#include <ATen/Parallel.h>
#include <ATen/core/grad_mode.h>

#include <cstdio>
#include <exception>
#include <functional>
#include <vector>

#include "tests/support/temporary_directory.h"
#include "trainer/process_group.h"

namespace sweep {

using Values = std::vector<double>;

/// What `work` returns in each of `size` processes, forked from this one, that have met by Gloo. A
/// single one has no peers. This process must not have computed with LibTorch before.
inline std::vector<Values> InProcesses(int64_t size,
                                       const std::function<Values(Peers* peers)>& work) {
  const TemporaryDirectory temporary;
  std::vector<FILE*> answers;
  std::vector<pid_t> children;
  for (int64_t rank = 0; rank < size; ++rank) {
    int ends[2];
    REQUIRE(::pipe(ends) == 0);
    const pid_t child = ::fork();
    if (child == 0) {
      try {
        at::set_num_threads(1);
        const at::NoGradGuard no_autograd;
        const auto peers = size > 1 ? JoinPeers(temporary.path() / "meeting", {rank, size, rank})
                                    : std::unique_ptr<Peers>();
        const Values values = work(peers.get());
        FILE* const out = ::fdopen(ends[1], "w");
        (void)std::fwrite(values.data(), sizeof(double), values.size(), out);
        (void)std::fclose(out);
        ::_exit(0);
      } catch (const std::exception& error) {
        std::fprintf(stderr, "rank %d: %s\n", static_cast<int>(rank), error.what());
        ::_exit(1);
      }
    }
    ::close(ends[1]);
    answers.push_back(::fdopen(ends[0], "r"));
    children.push_back(child);
  }
  std::vector<Values> all(answers.size());
  for (size_t rank = 0; rank < answers.size(); ++rank) {
    double value = 0;
    while (std::fread(&value, sizeof value, 1, answers[rank]) == 1) all[rank].push_back(value);
    (void)std::fclose(answers[rank]);
    int status = 0;
    ::waitpid(children[rank], &status, 0);
    REQUIRE(status == 0);
  }
  return all;
}

}  // namespace sweep
