// SPDX-License-Identifier: Apache-2.0
//
// The pieces of sampling that look at many logits at once: the largest, the k largest, the shortest
// prefix that holds a share of the probability. None of them sorts the vocabulary: at 128 Ki tokens
// a full sort takes longer than a small model takes for a token.
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

/// One pass over at least one logit.
Peak find_peak(std::span<const float> logits);

/// exp(x) for x <= 0 with a relative error below 2e-7; 0 below -87 (where exp leaves the normal
/// floats).
float exp_weight(float x);

/// Sum of exp(logit - peak).
double sum_weights(std::span<const float> logits, float peak);

/// The `k` likeliest (1 <= k), likeliest first, without weights.
std::vector<Candidate> select_top_k(std::span<const float> logits, size_t k);

/// All with logit >= `least`, in the order of their ids, without weights.
std::vector<Candidate> select_at_least(std::span<const float> logits, float least);

/// Fills the weights, relative to the best logit among the candidates. Returns their sum.
double fill_weights(std::vector<Candidate>& candidates);

/// A logit below which no token can belong to the shortest prefix that holds `p` of `total`, which
/// is the sum of weights of all `count` tokens: what lies below it weighs less than the rest of
/// the probability even if all tokens did.
float top_p_floor(float peak, double total, size_t count, float p);

/// Keeps the shortest prefix, likeliest first, whose weights reach `p * total`; at least one.
void keep_top_p(std::vector<Candidate>& candidates, float p, double total);

/// Keeps those that are at least `min_p` times as likely as the best.
void keep_min_p(std::vector<Candidate>& candidates, float min_p);

/// Locally typical sampling: keeps those whose surprise lies nearest to the entropy, until their
/// weights reach `p * total`; at least one. `total` is the sum of the candidates' weights.
/// Source: Meister et al., "Locally typical sampling", TACL 2023.
void keep_typical(std::vector<Candidate>& candidates, float p, double total);

/// Index at which the running sum of exp((logit - peak) / temperature) passes `uniform` (in [0, 1))
/// of the whole. `peak` is the largest of the logits. A weight that is 0 is never chosen.
size_t draw_index(std::span<const float> logits, float peak, float temperature, double uniform);

}  // namespace omg
