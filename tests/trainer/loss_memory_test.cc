// What the loss holds beyond features and gradients. Hidden: each case runs in a process of its own
// (tests.cmake), whose peak is then the loss's.
#include <ATen/core/grad_mode.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/zeros.h>
#include <malloc.h>

#include <catch2/catch.hpp>
#include <chrono>
#include <fstream>
#include <iostream>
#include <string>

#include "tests/trainer/golden.h"
#include "trainer/contrastive_loss.h"
#include "trainer/device.h"
#include "trainer/layers.h"

namespace sweep {
namespace {

constexpr double kMegabyte = 1 << 20;

// Of this process; `field` is VmRSS (now) or VmHWM (peak).
double MegabytesOf(const std::string& field) {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with(field + ":")) return std::stod(line.substr(field.size() + 1)) / 1024;
  }
  return 0;
}

void ForgetPeak() {
  std::ofstream("/proc/self/clear_refs") << "5";
}

void CheckLossMemory(int64_t pairs, double most_megabytes) {
  constexpr int64_t kEmbedding = 512;
  KeepFreedMemory();  // as clip_train does
  const at::NoGradGuard no_autograd;
  const FeaturePair features{Normalize(at::randn({pairs, kEmbedding})).unit_RO,
                             Normalize(at::randn({pairs, kEmbedding})).unit_RO};
  const at::Tensor scale = at::zeros({}).fill_(3.0);
  const at::Tensor scale_gradient = at::zeros({});
  // Once small: what the libraries keep for themselves.
  (void)ContrastiveLoss({features.images_BE.narrow(0, 0, 64), features.texts_BE.narrow(0, 0, 64)},
                        {scale, scale_gradient});
  ::malloc_trim(0);  // what was freed and kept would hide as much of the loss
  ForgetPeak();
  const double before = MegabytesOf("VmRSS");
  const auto start = std::chrono::steady_clock::now();
  const LossAndGradients loss = ContrastiveLoss(features, {scale, scale_gradient});
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
  const double gradients = 2 * static_cast<double>(features.images_BE.nbytes()) / kMegabyte;
  const double beyond = MegabytesOf("VmHWM") - before - gradients;
  std::cout << pairs << " pairs: " << beyond << " MB beyond features and gradients, "
            << seconds.count() << " s\n";
  CHECK(loss.loss.item<double>() > 0);
  CHECK(beyond > 1);  // it was measured
  CHECK(beyond <= most_megabytes);
}

}  // namespace

TEST_CASE("The loss of 8,192 pairs takes at most 64 MB", "[.loss_memory_short]") {
  CheckLossMemory(8192, 64);
}

TEST_CASE("The loss of 65,536 pairs takes at most 64 MB", "[.loss_memory]") {
  CheckLossMemory(65536, 64);
}

}  // namespace sweep
