#include "trainer/process_group.h"

#include <fmt/format.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "core/failure.h"
#include "trainer/cuda/nccl_peers.h"
#include "trainer/device.h"
#include "trainer/library_beside.h"

#ifdef SWEEP_HAS_GLOO
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/tensor.h>

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

// What LocalPeers tells the processes that it starts: their rank, and whose children they are, so
// that it means nothing to anybody who inherits it.
constexpr const char* kLocalRank = "CLIP_TRAIN_RANK";

std::string LocalRankText(int64_t rank, pid_t leader) {
  return fmt::format("{}/{}", rank, leader);
}

std::optional<int64_t> RankAmongLocalPeers() {
  const std::optional<int64_t> rank = Number(kLocalRank);
  if (!rank || LocalRankText(*rank, ::getppid()) != std::getenv(kLocalRank)) return std::nullopt;
  return rank;
}

}  // namespace

Rank FindRank(int64_t size, const std::string& launcher) {
  Rank found{0, size, 0, size > 1};
  if (const auto rank = RankAmongLocalPeers()) {
    found = {*rank, size, *rank, false};
  } else if (launcher == "srun" && IsSlurmStep(size)) {
    found = {*Number("SLURM_PROCID"), size, Number("SLURM_LOCALID").value_or(0), false};
  }
  if (found.rank < 0 || found.rank >= size) {
    throw Failure(
        FailureCode::kUsage,
        fmt::format("rank is {}, expected one of the attempt's {} processes", found.rank, size));
  }
  return found;
}

LocalPeers::LocalPeers(char* const* argv, int64_t size) : exceptions_(std::uncaught_exceptions()) {
  const pid_t parent = ::getpid();
  for (int64_t rank = 1; rank < size; ++rank) {
    const std::string text = LocalRankText(rank, parent);
    const pid_t pid = ::fork();
    if (pid < 0) {
      throw Failure(
          FailureCode::kInternal,
          fmt::format("cannot start process {} of {}: {}", rank, size, std::strerror(errno)));
    }
    if (pid == 0) {
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);
      if (::getppid() != parent) ::_exit(1);
      ::setenv(kLocalRank, text.c_str(), 1);
      ::execv("/proc/self/exe", argv);
      ::_exit(1);
    }
    pids_.push_back(pid);
  }
}

void LocalPeers::RequireAlive() const {
  for (const int pid : pids_) {
    siginfo_t ended = {};
    ::waitid(P_PID, static_cast<id_t>(pid), &ended, WEXITED | WNOHANG | WNOWAIT);
    if (ended.si_pid != 0) {
      throw Failure(FailureCode::kInternal,
                    fmt::format("process {} of the attempt ended before it began to work", pid));
    }
  }
}

// Where this process failed, the others may wait for it in a collective of NCCL, which does not see
// that it has gone. They write nothing.
LocalPeers::~LocalPeers() {
  if (std::uncaught_exceptions() > exceptions_) {
    for (const int pid : pids_) ::kill(pid, SIGKILL);
  }
  for (const int pid : pids_) {
    while (::waitpid(pid, nullptr, 0) < 0 && errno == EINTR) {
    }
  }
}

#ifdef SWEEP_HAS_GLOO

namespace {

using Clock = std::chrono::steady_clock;

class GlooPending : public Pending {
 public:
  // `finish` is called once the other processes' values are there.
  GlooPending(c10::intrusive_ptr<c10d::Work> work, std::function<void()> finish, double& seconds)
      : work_(std::move(work)), finish_(std::move(finish)), seconds_(seconds) {}

  void Wait() override {
    const auto start = Clock::now();
    work_->wait();
    seconds_ += std::chrono::duration<double>(Clock::now() - start).count();
    finish_();
  }

 private:
  c10::intrusive_ptr<c10d::Work> work_;
  std::function<void()> finish_;
  double& seconds_;  // of the peers: they outlive what is under way
};

// Until all ranks have come to the store. Gloo itself waits deaf to everything.
void AwaitAll(c10d::Store& store, const Rank& rank, const std::function<bool()>& gives_up) {
  constexpr std::chrono::milliseconds kPause{20};
  const auto key = [](int64_t number) { return fmt::format("arrived/{}", number); };
  std::vector<std::string> all;
  for (int64_t number = 0; number < rank.size; ++number) all.push_back(key(number));
  store.set(key(rank.rank), std::vector<uint8_t>{1});
  const auto patience_ends = Clock::now() + kLongestSilence;
  while (!store.check(all)) {
    if (gives_up && gives_up())
      throw Failure(FailureCode::kInterrupted,
                    "stopped by a signal, waiting for the attempt's other processes");
    if (Clock::now() > patience_ends)
      throw Failure(FailureCode::kInternal,
                    fmt::format("not all of the attempt's {} processes have come", rank.size));
    std::this_thread::sleep_for(kPause);
  }
}

// A GPU's tensors go through the host's memory: Gloo computes there.
class GlooPeers : public Peers {
 public:
  GlooPeers(const std::filesystem::path& meeting,
            const Rank& rank,
            const std::function<bool()>& gives_up)
      : rank_(rank) {
    const auto size = static_cast<int>(rank.size);
    auto store = c10::make_intrusive<c10d::FileStore>(meeting.string(), size);
    AwaitAll(*store, rank, gives_up);
    group_ = c10::make_intrusive<c10d::ProcessGroupGloo>(
        std::move(store),
        static_cast<int>(rank.rank),
        size,
        c10d::ProcessGroupGloo::Options::create_default(kLongestSilence));
  }

  int64_t rank() const override { return rank_.rank; }
  int64_t size() const override { return rank_.size; }
  double wait_seconds() const override { return wait_seconds_; }

  at::Tensor AllGather(const at::Tensor& mine) override {
    std::vector<int64_t> shape = mine.sizes().vec();
    shape[0] *= size();
    at::Tensor all = at::empty(shape, mine.options());
    StartAllGather(mine.contiguous(), all)->Wait();
    return all;
  }

  std::unique_ptr<Pending> StartAllReduce(const at::Tensor& tensor) override {
    std::vector<at::Tensor> host{tensor.cpu()};
    return Start(group_->allreduce(host), [tensor, sum = host[0]] { PutInto(tensor, sum); });
  }

  // Each process sends every other its part and adds up what it gets, in the order of the ranks:
  // Gloo's own sums everything everywhere first, in a copy.
  std::unique_ptr<Pending> StartReduceScatter(const at::Tensor& whole,
                                              const at::Tensor& part) override {
    at::Tensor sent = whole.cpu();
    at::Tensor received = at::empty_like(sent);
    std::vector<int64_t> equal_parts;
    return Start(group_->alltoall_base(received, sent, equal_parts, equal_parts),
                 [part, sent, received, size = size()] {
                   const std::vector<at::Tensor> parts = received.chunk(size);
                   for (size_t i = 1; i < parts.size(); ++i) parts[0].add_(parts[i]);
                   PutInto(part, parts[0]);
                 });
  }

  std::unique_ptr<Pending> StartAllGather(const at::Tensor& part,
                                          const at::Tensor& whole) override {
    at::Tensor mine = part.cpu();
    at::Tensor all = whole.is_cpu() ? whole : at::empty_like(whole, at::kCPU);
    return Start(group_->_allgather_base(all, mine), [whole, all] { PutInto(whole, all); });
  }

 private:
  std::unique_ptr<Pending> Start(c10::intrusive_ptr<c10d::Work> work,
                                 std::function<void()> finish) {
    return std::make_unique<GlooPending>(std::move(work), std::move(finish), wait_seconds_);
  }

  static void PutInto(const at::Tensor& to, const at::Tensor& from) {
    if (!from.is_same(to)) to.copy_(from);
  }

  Rank rank_;
  c10::intrusive_ptr<c10d::ProcessGroupGloo> group_;
  double wait_seconds_ = 0;
};

// Tensors of GPUs by one way, all others by another.
class PeersByDevice : public Peers {
 public:
  PeersByDevice(std::unique_ptr<Peers> host, std::unique_ptr<Peers> gpus)
      : host_(std::move(host)), gpus_(std::move(gpus)) {}

  int64_t rank() const override { return host_->rank(); }
  int64_t size() const override { return host_->size(); }
  double wait_seconds() const override { return host_->wait_seconds() + gpus_->wait_seconds(); }
  at::Tensor AllGather(const at::Tensor& mine) override { return For(mine).AllGather(mine); }
  std::unique_ptr<Pending> StartAllReduce(const at::Tensor& tensor) override {
    return For(tensor).StartAllReduce(tensor);
  }
  std::unique_ptr<Pending> StartReduceScatter(const at::Tensor& whole,
                                              const at::Tensor& part) override {
    return For(whole).StartReduceScatter(whole, part);
  }
  std::unique_ptr<Pending> StartAllGather(const at::Tensor& part,
                                          const at::Tensor& whole) override {
    return For(whole).StartAllGather(part, whole);
  }

 private:
  Peers& For(const at::Tensor& tensor) { return tensor.is_cuda() ? *gpus_ : *host_; }

  std::unique_ptr<Peers> host_, gpus_;
};

// What each rank tells the others of its GPU: whether it can be shared by NCCL, and which one it
// is. Ranks without one take part.
bool AllHaveGpusOfTheirOwn(Peers& host, bool able, at::Device device) {
  const auto [high, low] = device.is_cuda() ? GpuIdentity(device) : std::array<int64_t, 2>{};
  const at::Tensor all = host.AllGather(at::tensor({int64_t{able}, high, low}, at::kLong));
  const auto said = all.accessor<int64_t, 1>();
  std::set<std::pair<int64_t, int64_t>> gpus;
  for (int64_t i = 0; i < all.size(0); i += 3) {
    if (said[i] != 0) gpus.emplace(said[i + 1], said[i + 2]);
  }
  return static_cast<int64_t>(gpus.size()) == host.size();
}

}  // namespace

std::unique_ptr<Peers> JoinPeers(const std::filesystem::path& meeting,
                                 const Rank& rank,
                                 at::Device device,
                                 const std::function<bool()>& gives_up) {
  auto gloo = std::make_unique<GlooPeers>(meeting, rank, gives_up);
  const auto nccl = device.is_cuda() ? EntryBeside<NcclPeersAt>(kNcclLibrary, kNcclEntry) : nullptr;
  if (AllHaveGpusOfTheirOwn(*gloo, nccl != nullptr, device)) {
    return std::make_unique<PeersByDevice>(
        std::move(gloo),
        std::unique_ptr<Peers>(nccl((meeting.string() + ".nccl").c_str(), rank.rank, rank.size)));
  }
  if (device.is_cuda() && rank.rank == 0) {
    std::fprintf(stderr,
                 "clip_train: GPUs' tensors go through the host's memory: %s\n",
                 nccl == nullptr ? WhyNotBeside().c_str() : "some process has no GPU of its own");
  }
  return gloo;
}

#else

std::unique_ptr<Peers> JoinPeers(const std::filesystem::path&,
                                 const Rank&,
                                 at::Device,
                                 const std::function<bool()>&) {
  throw Failure(FailureCode::kUsage,
                "attempt.json: processes is more than 1, but clip_train was built without Gloo's "
                "headers (Debian: libgloo-dev)");
}

#endif

}  // namespace sweep
