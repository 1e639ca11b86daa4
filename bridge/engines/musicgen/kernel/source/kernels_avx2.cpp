#include "lanes_avx2.h"
// before layers.h, which is written for its Lanes
#include "layers.h"

MUSICGEN_KERNELS(kAvx2, "avx2")
