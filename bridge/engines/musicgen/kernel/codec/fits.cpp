// Called before anything else of the library. This file is compiled for any processor; a macro says which instruction
// set decode.cpp was compiled for.
#include <cstdint>

extern "C" __attribute__((visibility("default"))) std::int32_t codec_fits() {
#if defined(CODEC_WANTS_AVX512BF16)
  return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
         __builtin_cpu_supports("avx512bf16") && __builtin_cpu_supports("fma");
#elif defined(CODEC_WANTS_AVX2)
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
#else
  return 1;
#endif
}
