#include "trainer/device.h"

#include <ATen/Context.h>

#include <catch2/catch.hpp>

#include "core/failure.h"

namespace sweep {

TEST_CASE("TensorFloat-32 of one precision does not stay for the next") {
  at::globalContext().setAllowTF32CuBLAS(true);  // as training in tf32 leaves it
  SetPrecision(at::kCPU, "fp32");
  CHECK_FALSE(at::globalContext().allowTF32CuBLAS());
  CHECK_THROWS_AS(SetPrecision(at::kCPU, "tf32"), Failure);
  CHECK_FALSE(at::globalContext().allowTF32CuBLAS());
}

}  // namespace sweep
