#include "lanes_portable.h"
// before layers.h, which is written for its Lanes
#include "layers.h"

MUSICGEN_KERNELS(kPortable, "portable")
