// SPDX-License-Identifier: Apache-2.0
#include "daemon/lifecycle/memory_budget.h"

#include <algorithm>
#include <fmt/format.h>
#include <limits>
#include <numeric>

namespace omg {
namespace {

constexpr uint64_t kMost = std::numeric_limits<uint64_t>::max();

uint64_t saturating_add(uint64_t a, uint64_t b) {
  return a > kMost - b ? kMost : a + b;
}

uint64_t saturating_multiply(uint64_t a, uint64_t b) {
  return b != 0 && a > kMost / b ? kMost : a * b;
}

uint64_t round_up_to_block(uint64_t tokens) {
  return (tokens + kKvBlockTokens - 1) / kKvBlockTokens * kKvBlockTokens;
}

uint32_t longest(const RunNeeds& needs) {
  return needs.max_context > 0 ? needs.max_context : kLeastContext;
}

/// The context that a run must at least have.
uint64_t least_context(const RunNeeds& needs) {
  return std::min(longest(needs), kLeastContext);
}

}  // namespace

uint64_t least_bytes(const RunNeeds& needs) {
  const uint64_t cache =
      saturating_multiply(round_up_to_block(least_context(needs)), needs.kv_bytes_per_token);
  return saturating_add(saturating_add(needs.weights_bytes, needs.scratch_bytes), cache);
}

std::optional<RunShape> shape_run(const RunNeeds& needs, uint64_t free_bytes,
                                  uint32_t max_sequences) {
  if (least_bytes(needs) > free_bytes) return std::nullopt;
  const uint64_t fixed = needs.weights_bytes + needs.scratch_bytes;
  const uint64_t rest = free_bytes - fixed;
  const uint64_t per_block =
      saturating_multiply(std::max<uint64_t>(needs.kv_bytes_per_token, 1), kKvBlockTokens);
  const uint64_t half = rest / 2 / per_block * kKvBlockTokens;

  // Not beyond the half, but for the least there must be, which least_bytes() has made sure of.
  const uint64_t affordable = std::max(half, round_up_to_block(least_context(needs)));
  RunShape shape;
  shape.context_length = static_cast<uint32_t>(std::min<uint64_t>(longest(needs), affordable));
  const uint64_t wanted =
      saturating_multiply(round_up_to_block(shape.context_length), std::max(max_sequences, 1u));
  shape.kv_capacity_tokens = std::min(wanted, affordable);
  shape.bytes = fixed + shape.kv_capacity_tokens * needs.kv_bytes_per_token;
  return shape;
}

double eviction_cost(const EvictionCandidate& candidate) {
  const double likelihood = 1.0 / (1.0 + std::max(candidate.idle_seconds, 0.0) / 60.0);
  return candidate.reload_seconds * likelihood /
         static_cast<double>(std::max<uint64_t>(candidate.bytes, 1));
}

std::optional<std::vector<size_t>> choose_victims(std::span<const EvictionCandidate> candidates,
                                                  uint64_t bytes, size_t runs) {
  std::vector<size_t> order(candidates.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) {
    return eviction_cost(candidates[a]) < eviction_cost(candidates[b]);
  });
  std::vector<size_t> victims;
  uint64_t freed = 0;
  for (const size_t index : order) {
    if (freed >= bytes && victims.size() >= runs) break;
    victims.push_back(index);
    freed = saturating_add(freed, candidates[index].bytes);
  }
  if (freed < bytes || victims.size() < runs) return std::nullopt;
  // A large one that came last may make those before it needless; the dearest are spared first.
  for (size_t i = victims.size(); i-- > 0;) {
    const uint64_t own = candidates[victims[i]].bytes;
    if (victims.size() > runs && freed - own >= bytes) {
      freed -= own;
      victims.erase(victims.begin() + static_cast<ptrdiff_t>(i));
    }
  }
  return victims;
}

std::string format_memory(uint64_t bytes) {
  constexpr double kMiB = 1024.0 * 1024.0;
  const double mib = static_cast<double>(bytes) / kMiB;
  if (mib >= 1024) return fmt::format("{:.1f} GiB", mib / 1024);
  if (mib >= 1) return fmt::format("{:.0f} MiB", mib);
  return fmt::format("{} bytes", bytes);
}

}  // namespace omg
