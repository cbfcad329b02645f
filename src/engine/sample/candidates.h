// SPDX-License-Identifier: Apache-2.0
//
// The pieces of sampling that look at many logits at once: the largest, the k largest, the shortest
// prefix that holds a share of the probability. None of them sorts the vocabulary: at 128 Ki tokens
// a full sort takes longer than a small model takes for a token. All are linear, whatever the
// logits.
//
// Every result is a pure function of the logits, equal on all platforms: order is total (ties go to
// the lower id), exponentials are computed here with plain IEEE operations, and sums have a fixed
// order.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace omg {

/// A token that may still be chosen.
struct Candidate {
  int32_t token;
  float logit;
  float weight = 0;  // exp(logit - the best logit)
  float key = 0;     // scratch: what the current step sorts by, smallest first
};

struct Peak {
  int32_t token;  // the lowest id that has the largest logit
  float logit;
  bool finite;  // false if any of the logits is NaN or infinite; then token and logit say nothing
};

/// The largest of each 256 logits, in one pass; NaN where one of them is not finite. With these at
/// hand, the next two look at few logits themselves.
std::vector<float> block_peaks(std::span<const float> logits);

/// Of at least one logit. `peaks` are theirs.
Peak find_peak(std::span<const float> logits, std::span<const float> peaks);
inline Peak find_peak(std::span<const float> logits) {
  return find_peak(logits, block_peaks(logits));
}

/// exp(x) for x <= 0 with a relative error below 2e-7; 0 below -87 (where exp leaves the normal
/// floats).
float exp_weight(float x);

/// Sum of exp(logit - peak).
double sum_weights(std::span<const float> logits, float peak);

/// The `k` likeliest (1 <= k) of finite logits, likeliest first, without weights.
std::vector<Candidate> select_top_k(std::span<const float> logits, size_t k,
                                    std::span<const float> peaks);
inline std::vector<Candidate> select_top_k(std::span<const float> logits, size_t k) {
  return select_top_k(logits, k, block_peaks(logits));
}

/// All with logit >= `least`, in the order of their ids, without weights.
std::vector<Candidate> select_at_least(std::span<const float> logits, float least,
                                       std::span<const float> peaks);
inline std::vector<Candidate> select_at_least(std::span<const float> logits, float least) {
  return select_at_least(logits, least, block_peaks(logits));
}

// Shares of probability. What a prefix weighs is counted in units of 2^-39 of the best token's
// weight, so sums are exact and do not depend on how they are made. A prefix is the shortest whose
// weights reach `p` times those of all that it is taken from, and holds one token at least; of
// tokens that are equal in what it sorts by, the lower ids come first. Those that are left keep the
// order in which they were, which is that of their ids after select_...().

/// The prefix of finite logits by likelihood, without weights.
std::vector<Candidate> select_top_p(std::span<const float> logits, float p,
                                    std::span<const float> peaks);
inline std::vector<Candidate> select_top_p(std::span<const float> logits, float p) {
  return select_top_p(logits, p, block_peaks(logits));
}

/// Locally typical sampling: the prefix by how near a token's surprise lies to the entropy. That is
/// the distance of its logit from the mean logit, each weighed by its probability.
/// Source: Meister et al., "Locally typical sampling", TACL 2023.
std::vector<Candidate> select_typical(std::span<const float> logits, float p,
                                      std::span<const float> peaks);
inline std::vector<Candidate> select_typical(std::span<const float> logits, float p) {
  return select_typical(logits, p, block_peaks(logits));
}

/// Fills the weights, relative to the best logit among the candidates.
void fill_weights(std::vector<Candidate>& candidates);

/// As select_top_p() and select_typical(), of candidates with weights.
void keep_top_p(std::vector<Candidate>& candidates, float p);
void keep_typical(std::vector<Candidate>& candidates, float p);

/// Keeps those that are at least `min_p` times as likely as the best.
void keep_min_p(std::vector<Candidate>& candidates, float min_p);

/// Index at which the running sum of exp((logit - peak) / temperature) passes `uniform` (in [0, 1))
/// of the whole. `peak` is the largest of the logits. A weight that is 0 is never chosen.
size_t draw_index(std::span<const float> logits, float peak, float temperature, double uniform);

}  // namespace omg
