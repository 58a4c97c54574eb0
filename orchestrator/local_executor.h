#pragma once

#include <chrono>
#include <csignal>
#include <deque>
#include <exception>
#include <filesystem>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "orchestrator/executor.h"
#include "orchestrator/launch.h"
#include "orchestrator/local_gpus.h"
#include "orchestrator/orphans.h"

namespace sweep {

/// Runs attempts as child processes of this one, `slots` at a time, and each where there are GPUs
/// with its own in CUDA_VISIBLE_DEVICES. Each child is in a process group of its own, so that
/// Ctrl-C reaches `sweep` alone, and is asked to stop by the kernel when `sweep` dies. An attempt
/// ends when all that it started has: a program that ends before the trainer that it started (a
/// script that a signal ended) leaves a trainer that is asked to save and stop, and waited for.
///
/// A thread of its own starts the next attempt the moment another ends, while its user records what
/// has happened. Where attempts end faster than that is done, a few more than there are slots are
/// taken in to wait here; where they last, none is.
class LocalExecutor : public Executor {
 public:
  explicit LocalExecutor(size_t slots, GpuPacking gpus = {{}, 1, 1});
  /// Ends the thread, and with it every child that still runs.
  ~LocalExecutor() override;

  [[nodiscard]] std::string name() const override { return "local"; }
  [[nodiscard]] size_t Room() const override;
  [[nodiscard]] bool Reserve(const std::string& run_id, double memory_bytes) override;
  AttemptHandle Start(const AttemptJob& job) override;
  /// Never needed: recovery ends what a dead `sweep` left on this machine.
  void Adopt(const AttemptJob& job, const AttemptHandle& handle) override;
  [[nodiscard]] std::vector<AttemptNews> Poll(std::chrono::milliseconds timeout) override;
  void Stop(StopMode mode) override;
  [[nodiscard]] bool OutlivesSweep() const override { return false; }
  [[nodiscard]] size_t running() const override;

 private:
  using Clock = std::chrono::steady_clock;
  // Of a child that has ended: what it started and left at work.
  struct Leftovers {
    AttemptNews end;
    Orphans processes;
    Clock::time_point since;
    Clock::time_point next_look;
  };
  struct Child {
    std::string run_id;
    int64_t attempt = 0;
    std::filesystem::path run_directory;
    int pidfd = -1;                        // -1: looked at now and then
    std::unique_ptr<Leftovers> leftovers;  // once it has ended
  };
  struct Waiting {
    std::string run_id;
    int64_t attempt = 0;
    std::filesystem::path run_directory;
    std::vector<std::string> gpus;
    Launch launch;
  };

  void WatchChildren();
  void WaitForChange();
  void TakeInEnds();
  // Has the child with this process id ended, with all that it started?
  bool HasEnded(int pid, Child& child);
  bool LeftoversHaveEnded(Leftovers& leftovers) const;
  void StartWaiting();
  void Launched(const Waiting& started, pid_t pid);
  void Report(AttemptNews news);

  const size_t slots_;
  GpuPacking gpus_;                                           // of the user's thread alone
  std::map<std::string, std::vector<std::string>> reserved_;  // likewise: GPUs by run, until Start

  mutable std::mutex mutex_;       // of all that follows
  std::map<int, Child> children_;  // by process id
  std::deque<Waiting> waiting_;
  bool launching_ = false;  // one that is neither in children_ nor in waiting_
  std::deque<Clock::time_point> recent_ends_;
  std::vector<AttemptNews> news_;
  std::exception_ptr broken_;       // what ended the thread
  std::optional<int> stop_signal_;  // sent to all, and to one that is only just starting
  bool leave_ = false;

  int news_event_ = -1;  // readable while there may be news
  int work_event_ = -1;  // wakes the thread
  sigset_t signals_{};   // blocked in the children
  std::thread watcher_;
};

}  // namespace sweep
