#include "trainer/device.h"

#include <ATen/Context.h>

#include <catch2/catch.hpp>
#include <cstdint>
#include <mutex>
#include <set>
#include <thread>

#include "core/failure.h"
#include "trainer/fused_ops.h"

namespace sweep {

TEST_CASE("TensorFloat-32 of one precision does not stay for the next") {
  at::globalContext().setAllowTF32CuBLAS(true);  // as training in tf32 leaves it
  SetPrecision(at::kCPU, "fp32");
  CHECK_FALSE(at::globalContext().allowTF32CuBLAS());
  CHECK_THROWS_AS(SetPrecision(at::kCPU, "tf32"), Failure);
  CHECK_FALSE(at::globalContext().allowTF32CuBLAS());
}

TEST_CASE("Subnormal numbers are 0 in the thread that asked for it and in those it starts") {
  std::mutex mutex;
  std::set<std::thread::id> threads;
  int shrunk_to_zero = 0;
  std::thread([&] {  // as the main thread of clip_train, with a team of its own
    FlushSubnormals();
    SetThreads(2);
    ForRows(256, [&](int64_t, int64_t) {
      volatile float moment = 1e-30F;
      for (int step = 0; step < 1000; ++step) moment = moment * 0.9F;
      const std::scoped_lock lock(mutex);
      threads.insert(std::this_thread::get_id());
      if (moment == 0) ++shrunk_to_zero;
    });
    SetThreads(1);
  })
      .join();
  CHECK(threads.size() == 2);
  CHECK(shrunk_to_zero == 2);
  volatile float here = 1e-30F;  // this thread has not asked
  for (int step = 0; step < 1000; ++step) here = here * 0.9F;
  CHECK(here > 0);
}

}  // namespace sweep
