// Built with -march=x86-64-v3 (CMakeLists.txt); run only where KernelsForThisCpu found it fit.
#define SWEEP_KERNELS kernels_v3
#include "trainer/cpu_kernels_body.h"
