// Drawing a code out of the scores of a codebook.
#pragma once
#include <cstdint>
#include <vector>

#include "api.h"

namespace musicgen {

struct WeightedCode {
  int32_t code;
  float weight;
};

// Room for so many codes, so that drawing takes no memory.
struct DrawingRoom {
  explicit DrawingRoom(int32_t vocabulary);
  std::vector<float> scores, ordered;
  std::vector<WeightedCode> weights;
};

// The code, or -1 when the scores are no numbers. The arguments are those of musicgen_draw().
int32_t draw(const musicgen_sampling& how, const float* heard, const float* unheard, const uint8_t* used,
             double uniform, DrawingRoom& room);

}  // namespace musicgen
