// Drawing a code from the scores of a codebook.
#pragma once
#include <cstdint>
#include <vector>

#include "api.h"

namespace musicgen {

struct WeightedCode {
  int32_t code;
  float weight;
};

// Scratch memory for `vocabulary` codes, so that drawing allocates nothing.
struct SamplingScratch {
  explicit SamplingScratch(int32_t vocabulary);
  std::vector<float> scores, ordered;
  std::vector<WeightedCode> weights;
};

// Returns the code, or -1 when the scores are NaN or infinite. The arguments are those of musicgen_draw().
int32_t draw(const musicgen_sampling& how, const float* conditional, const float* unconditional, const uint8_t* used,
             double uniform, SamplingScratch& scratch);

}  // namespace musicgen
