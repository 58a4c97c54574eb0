#pragma once

#include <map>
#include <string>
#include <vector>

#include "orchestrator/executor.h"
#include "orchestrator/local_gpus.h"

namespace sweep {

/// Runs attempts as child processes of this one, `slots` at a time, and each where there are GPUs
/// with its own in CUDA_VISIBLE_DEVICES. Each child is in a process
/// group of its own, so that Ctrl-C reaches `sweep` alone, and is asked to stop by the kernel when
/// `sweep` dies.
class LocalExecutor : public Executor {
 public:
  explicit LocalExecutor(size_t slots, GpuPacking gpus = {{}, 1, 1})
      : slots_(slots), gpus_(std::move(gpus)) {}
  ~LocalExecutor() override;

  [[nodiscard]] std::string name() const override { return "local"; }
  [[nodiscard]] size_t Room() const override {
    return children_.size() < slots_ ? slots_ - children_.size() : 0;
  }
  [[nodiscard]] bool Reserve(const std::string& run_id, double memory_bytes) override;
  AttemptHandle Start(const AttemptJob& job) override;
  /// Never needed: recovery ends what a dead `sweep` left on this machine.
  void Adopt(const AttemptJob& job, const AttemptHandle& handle) override;
  [[nodiscard]] std::vector<AttemptNews> Poll(std::chrono::milliseconds timeout) override;
  void Stop(StopMode mode) override;
  [[nodiscard]] bool OutlivesSweep() const override { return false; }
  [[nodiscard]] size_t running() const override { return children_.size(); }

 private:
  struct Child {
    std::string run_id;
    int64_t attempt = 0;
    int pidfd = -1;
  };
  std::map<int, Child> children_;  // by process id
  size_t slots_;
  GpuPacking gpus_;
  std::map<std::string, std::vector<std::string>> reserved_;  // GPUs by run, until it starts
};

}  // namespace sweep
