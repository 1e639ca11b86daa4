#include "lanes_avx512.h"
// before layers.h, which is written for its Lanes
#include "layers.h"

MUSICGEN_KERNELS(kAvx512, "avx512vnni")
