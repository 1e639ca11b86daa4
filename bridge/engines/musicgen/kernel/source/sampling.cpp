// From the scores of a codebook to its code: the steps of sampling.py, in their order. Compiled without any -m option.
#include "sampling.h"

#include <algorithm>
#include <cmath>

namespace musicgen {
namespace {

// Writes the scores of one codebook after guidance and repetition penalty into `scores`; returns the largest, or NaN.
float guided(const musicgen_sampling& how, const float* conditional, const float* unconditional, const uint8_t* used,
             int count, float* scores) {
  float most = -INFINITY;
  bool finite = true;
  for (int code = 0; code < count; ++code) {
    float score = conditional[code];
    if (unconditional != nullptr) score = unconditional[code] + how.guidance * (score - unconditional[code]);
    if (used != nullptr && used[code]) score = score > 0 ? score / how.penalty : score * how.penalty;
    finite = finite && !std::isnan(score);
    most = std::max(most, score);
    scores[code] = score;
  }
  return finite && std::isfinite(most) ? most : NAN;
}

// The lowest score among the `top` likeliest codes.
float least_of(const float* scores, int count, int top, std::vector<float>& scratch) {
  if (top <= 0 || top >= count) return -INFINITY;
  scratch.assign(scores, scores + count);
  std::nth_element(scratch.begin(), scratch.begin() + (top - 1), scratch.end(), [](float a, float b) { return a > b; });
  return scratch[static_cast<size_t>(top - 1)];
}

// The lowest weight among the fewest codes that together have the probability `top_p`; at least one code has it.
float least_weight(const std::vector<WeightedCode>& weights, double total, float top_p, std::vector<float>& scratch) {
  scratch.clear();
  for (const WeightedCode& each : weights) scratch.push_back(each.weight);
  std::sort(scratch.begin(), scratch.end());
  double sum = 0;
  const double dropped = (1.0 - static_cast<double>(top_p)) * total;
  for (const float weight : scratch) {
    sum += static_cast<double>(weight);
    if (sum > dropped) return weight;
  }
  return scratch.back();
}

// The first code at which the cumulative probability exceeds `uniform`.
int32_t drawn(const std::vector<WeightedCode>& weights, double uniform) {
  double total = 0, sum = 0;
  for (const WeightedCode& each : weights) total += static_cast<double>(each.weight);
  const double wanted = uniform * total;
  for (const WeightedCode& each : weights) {
    sum += static_cast<double>(each.weight);
    if (sum > wanted) return each.code;
  }
  return weights.back().code;  // the sum was rounded
}

}  // namespace

SamplingScratch::SamplingScratch(int32_t vocabulary) : scores(static_cast<size_t>(vocabulary)) {
  ordered.reserve(scores.size());
  weights.reserve(scores.size());
}

int32_t draw(const musicgen_sampling& how, const float* conditional, const float* unconditional, const uint8_t* used,
             double uniform, SamplingScratch& scratch) {
  std::vector<float>& scores = scratch.scores;
  std::vector<WeightedCode>& weights = scratch.weights;
  const int vocabulary = static_cast<int>(scores.size());
  const float most = guided(how, conditional, unconditional, used, vocabulary, scores.data());
  if (std::isnan(most)) return -1;
  if (how.temperature <= 0)
    return static_cast<int32_t>(std::max_element(scores.begin(), scores.end()) - scores.begin());
  const float least = least_of(scores.data(), vocabulary, how.top_k, scratch.ordered), inverse = 1.0f / how.temperature;
  weights.clear();
  double total = 0;
  for (int code = 0; code < vocabulary; ++code)
    if (scores[static_cast<size_t>(code)] >= least) {  // with all that tie with the last one
      weights.push_back({code, std::exp((scores[static_cast<size_t>(code)] - most) * inverse)});
      total += static_cast<double>(weights.back().weight);
    }
  if (how.top_p > 0 && how.top_p < 1) {
    const float enough = least_weight(weights, total, how.top_p, scratch.ordered);
    const auto is_left_out = [&](const WeightedCode& each) { return each.weight < enough; };
    weights.erase(std::remove_if(weights.begin(), weights.end(), is_left_out), weights.end());
  }
  return drawn(weights, uniform);
}

}  // namespace musicgen
