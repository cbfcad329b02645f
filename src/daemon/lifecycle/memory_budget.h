// SPDX-License-Identifier: Apache-2.0
//
// Who gets how much memory, and who has to go for it: pure functions of numbers that were planned
// from the files themselves. Nothing here is an estimate of what a load might take.
//
// A run takes weights, scratch and a KV cache. The cache is paged and shared by all users of the
// run, so its size is a choice: half of what remains once weights and scratch stand, at most, so
// that a second model finds room without the first one going, and no more than max_sequences full
// contexts. One sequence may be as long as the model allows if one such context fits in that half;
// else as long as fits there. Where even kLeastContext tokens (or the model's maximum, if that is
// less) do not fit in the half, the run may take what they need of the rest: a model that fits the
// machine is never refused for the sake of one that might come.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "engine/kv/prefix_tree.h"  // capacities are multiples of kKvBlockTokens

namespace omg {

/// A context below this is no use for a conversation; also what a model of unknown length gets.
inline constexpr uint32_t kLeastContext = 4096;

/// What a run takes, in bytes, and the longest context that its model was made for.
struct RunNeeds {
  uint64_t weights_bytes = 0;
  uint64_t scratch_bytes = 0;
  uint64_t kv_bytes_per_token = 0;
  uint32_t max_context = 0;  // tokens; 0: unknown
};

/// What a run is given.
struct RunShape {
  uint32_t context_length = 0;      // of one sequence
  uint64_t kv_capacity_tokens = 0;  // of all together; at least context_length
  uint64_t bytes = 0;               // all in all
};

/// The least that a run can do with; UINT64_MAX if that is beyond counting.
uint64_t least_bytes(const RunNeeds& needs);
/// As told above; nothing if `free_bytes` is less than least_bytes().
std::optional<RunShape> shape_run(const RunNeeds& needs, uint64_t free_bytes,
                                  uint32_t max_sequences);

/// A run that could be stopped.
struct EvictionCandidate {
  uint64_t bytes = 0;         // that it gives back
  double reload_seconds = 0;  // that loading it took
  double idle_seconds = 0;    // since its last answer ended
};

/// What stopping it costs for each byte that it frees: the time to load it again times the
/// likelihood that somebody will want that, which falls as 1 / (1 + idle minutes).
double eviction_cost(const EvictionCandidate& candidate);

/// Which to stop so that at least `bytes` and `runs` become free: the cheapest first, and none that
/// turns out not to be needed. Indices in the order of their cost. Nothing if all together do not
/// free enough: then none should go.
std::optional<std::vector<size_t>> choose_victims(std::span<const EvictionCandidate> candidates,
                                                  uint64_t bytes, size_t runs);

/// "1.5 GiB", "20 MiB": for messages.
std::string format_memory(uint64_t bytes);

}  // namespace omg
