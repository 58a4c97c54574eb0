#include "trainer/process_group.h"

#include <fmt/format.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <string>

#include "core/failure.h"

#ifdef SWEEP_HAS_GLOO
#include <ATen/ops/empty.h>

#include <torch/csrc/distributed/c10d/FileStore.hpp>
#include <torch/csrc/distributed/c10d/ProcessGroupGloo.hpp>
#endif

namespace sweep {
namespace {

constexpr std::chrono::minutes kLongestSilence{10};

std::optional<int64_t> Number(const char* variable) {
  const char* text = std::getenv(variable);
  if (text == nullptr || *text == '\0') return std::nullopt;
  return std::strtoll(text, nullptr, 10);
}

// A batch script of Slurm is itself task 0 of a step of one.
bool IsSlurmStep(int64_t size) {
  return Number("SLURM_STEP_NUM_TASKS") == size && Number("SLURM_PROCID").has_value();
}

}  // namespace

bool IsLaunched(int64_t size) {
  return size == 1 || Number("RANK").has_value() || IsSlurmStep(size);
}

Rank FindRank(int64_t size) {
  Rank found{0, size, 0};
  if (const auto rank = Number("RANK")) {
    found.rank = *rank;
    found.local_rank = Number("LOCAL_RANK").value_or(*rank);
  } else if (IsSlurmStep(size)) {
    found.rank = *Number("SLURM_PROCID");
    found.local_rank = Number("SLURM_LOCALID").value_or(0);
  }
  if (found.rank < 0 || found.rank >= size) {
    throw Failure(
        FailureCode::kUsage,
        fmt::format("rank is {}, expected one of the attempt's {} processes", found.rank, size));
  }
  return found;
}

LocalPeers::LocalPeers(char* const* argv, int64_t size) {
  const pid_t parent = ::getpid();
  for (int64_t rank = 1; rank < size; ++rank) {
    const std::string variable = fmt::format("{}", rank);
    const pid_t pid = ::fork();
    if (pid < 0) {
      throw Failure(
          FailureCode::kInternal,
          fmt::format("cannot start process {} of {}: {}", rank, size, std::strerror(errno)));
    }
    if (pid == 0) {
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);
      if (::getppid() != parent) ::_exit(1);
      ::setenv("RANK", variable.c_str(), 1);
      ::execv("/proc/self/exe", argv);
      ::_exit(1);
    }
    pids_.push_back(pid);
  }
}

LocalPeers::~LocalPeers() {
  for (const int pid : pids_) {
    while (::waitpid(pid, nullptr, 0) < 0 && errno == EINTR) {
    }
  }
}

#ifdef SWEEP_HAS_GLOO

namespace {

// Tensors of a GPU go through the host's memory: Gloo computes there.
class GlooPeers : public Peers {
 public:
  GlooPeers(const std::filesystem::path& meeting, const Rank& rank) : rank_(rank) {
    const auto size = static_cast<int>(rank.size);
    group_ = c10::make_intrusive<c10d::ProcessGroupGloo>(
        c10::make_intrusive<c10d::FileStore>(meeting.string(), size),
        static_cast<int>(rank.rank),
        size,
        c10d::ProcessGroupGloo::Options::create_default(kLongestSilence));
  }

  int64_t rank() const override { return rank_.rank; }
  int64_t size() const override { return rank_.size; }

  at::Tensor Gather(const at::Tensor& mine) override {
    std::vector<at::Tensor> input{mine.cpu().contiguous()};
    std::vector<int64_t> shape = mine.sizes().vec();
    shape[0] *= size();
    const at::Tensor all = at::empty(shape, input[0].options());
    std::vector<std::vector<at::Tensor>> output{all.chunk(size())};
    group_->allgather(output, input)->wait();
    return all.to(mine.device());
  }

  void Sum(const at::Tensor& tensor) override {
    std::vector<at::Tensor> host{tensor.cpu()};
    group_->allreduce(host)->wait();
    if (!host[0].is_same(tensor)) tensor.copy_(host[0]);
  }

 private:
  Rank rank_;
  c10::intrusive_ptr<c10d::ProcessGroupGloo> group_;
};

}  // namespace

std::unique_ptr<Peers> JoinPeers(const std::filesystem::path& meeting, const Rank& rank) {
  return std::make_unique<GlooPeers>(meeting, rank);
}

#else

std::unique_ptr<Peers> JoinPeers(const std::filesystem::path&, const Rank&) {
  throw Failure(FailureCode::kUsage,
                "attempt.json: processes is more than 1, but clip_train was built without Gloo's "
                "headers (Debian: libgloo-dev)");
}

#endif

}  // namespace sweep
