// From the scores of a request to its codes: the steps of sampling.py, in their order. Compiled without any -m option.
#include <algorithm>
#include <cmath>
#include <vector>

#include "api.h"

namespace {

struct Weight {
  int32_t code;
  float weight;
};

// The scores of one codebook after guidance and repetition penalty, into `scores`; the largest of them, or NaN.
float guided(const musicgen_sampling& how, const float* heard, const float* unheard, const uint8_t* used, int count,
             float* scores) {
  float most = -INFINITY;
  bool finite = true;
  for (int code = 0; code < count; ++code) {
    float score = heard[code];
    if (unheard != nullptr) score = unheard[code] + how.guidance * (score - unheard[code]);
    if (used != nullptr && used[code]) score = score > 0 ? score / how.penalty : score * how.penalty;
    finite = finite && !std::isnan(score);
    most = std::max(most, score);
    scores[code] = score;
  }
  return finite && std::isfinite(most) ? most : NAN;
}

// The score below which a code is not among the `top` likeliest.
float least_of(const float* scores, int count, int top, std::vector<float>& room) {
  if (top <= 0 || top >= count) return -INFINITY;
  room.assign(scores, scores + count);
  std::nth_element(room.begin(), room.begin() + (top - 1), room.end(), [](float a, float b) { return a > b; });
  return room[static_cast<size_t>(top - 1)];
}

// The weight below which a code is not among the fewest that together have the share `top_p`; at least one is.
float least_weight(const std::vector<Weight>& weights, double total, float top_p, std::vector<float>& room) {
  room.clear();
  for (const Weight& each : weights) room.push_back(each.weight);
  std::sort(room.begin(), room.end());
  double sum = 0;
  const double dropped = (1.0 - static_cast<double>(top_p)) * total;
  for (const float weight : room) {
    sum += static_cast<double>(weight);
    if (sum > dropped) return weight;
  }
  return room.back();
}

// The first code whose share of the sum lies beyond `uniform`.
int32_t drawn(const std::vector<Weight>& weights, double uniform) {
  double total = 0, sum = 0;
  for (const Weight& each : weights) total += static_cast<double>(each.weight);
  const double wanted = uniform * total;
  for (const Weight& each : weights) {
    sum += static_cast<double>(each.weight);
    if (sum > wanted) return each.code;
  }
  return weights.back().code;  // what was rounded
}

}  // namespace

int32_t musicgen_pick(const musicgen_sampling* how, const float* heard, const float* unheard, const uint8_t* used,
                      const double* uniform, int32_t codebooks, int32_t vocabulary, int32_t* codes) {
  try {
    std::vector<float> scores(static_cast<size_t>(vocabulary)), room;
    std::vector<Weight> weights;
    for (int book = 0; book < codebooks; ++book) {
      const size_t first = static_cast<size_t>(book) * static_cast<size_t>(vocabulary);
      const float most = guided(*how, heard + first, unheard == nullptr ? nullptr : unheard + first,
                                used == nullptr ? nullptr : used + first, vocabulary, scores.data());
      if (std::isnan(most)) return MUSICGEN_NO_NUMBERS;
      if (how->temperature <= 0) {
        codes[book] = static_cast<int32_t>(std::max_element(scores.begin(), scores.end()) - scores.begin());
        continue;
      }
      const float least = least_of(scores.data(), vocabulary, how->top_k, room), inverse = 1.0f / how->temperature;
      weights.clear();
      double total = 0;
      for (int code = 0; code < vocabulary; ++code)
        if (scores[static_cast<size_t>(code)] >= least) {  // what ties with the last one, too
          weights.push_back({code, std::exp((scores[static_cast<size_t>(code)] - most) * inverse)});
          total += static_cast<double>(weights.back().weight);
        }
      if (how->top_p > 0 && how->top_p < 1) {
        const float enough = least_weight(weights, total, how->top_p, room);
        const auto is_left_out = [&](const Weight& each) { return each.weight < enough; };
        weights.erase(std::remove_if(weights.begin(), weights.end(), is_left_out), weights.end());
      }
      codes[book] = drawn(weights, uniform[book]);
    }
    return MUSICGEN_DONE;
  } catch (...) {
    return MUSICGEN_NO_MEMORY;
  }
}
