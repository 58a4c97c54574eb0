// Built with -march=x86-64-v2 (CMakeLists.txt); run only where KernelsForThisCpu found it fit.
#define SWEEP_KERNELS kernels_v2
#include "trainer/cpu_kernels_body.h"
