// SPDX-License-Identifier: Apache-2.0
#include "clients/cli/suggestions.h"

#include <algorithm>
#include <array>

#include "base/hardware.h"

namespace omg::cli {
namespace {

/// Good all-rounders of each size, so that there is one for each machine and nobody has to choose
/// among thirty. Names that the catalogue lacks, or whose sizes it does not say, are left out.
constexpr std::array<const char*, 8> kWellKnown = {
    "llama3.3", "gemma2:27b", "qwen2.5:14b", "gemma2",
    "qwen2.5",  "llama3.2",   "gemma2:2b",   "llama3.2:1b",
};

/// Cache of 4096 tokens and working memory of models of 1 to 8 billion weights.
constexpr uint64_t kBesideWeights = uint64_t{640} << 20;

/// The first, the last, and what lies between at equal distances.
std::vector<Suggestion> spread(std::vector<Suggestion> all, size_t most) {
  if (all.size() <= most || most < 2) {
    all.resize(std::min(all.size(), most));
    return all;
  }
  std::vector<Suggestion> chosen;
  for (size_t i = 0; i < most; ++i) {
    chosen.push_back(std::move(all[i * (all.size() - 1) / (most - 1)]));
  }
  return chosen;
}

}  // namespace

uint64_t memory_for_models(const Settings& settings) {
  const uint64_t usable = usable_memory();
  const auto budget = static_cast<uint64_t>(settings.integer("memory_budget"));
  if (budget > 0) return std::min(budget, usable);
  const auto reserve = static_cast<uint64_t>(settings.integer("memory_reserve"));
  return usable - std::min(reserve, usable);
}

uint64_t estimated_run_bytes(uint64_t download_bytes) {
  return download_bytes + download_bytes / 10 + kBesideWeights;
}

uint64_t estimated_largest_download(uint64_t memory_bytes) {
  return memory_bytes > kBesideWeights ? (memory_bytes - kBesideWeights) / 11 * 10 : 0;
}

std::vector<Suggestion> suggest_models(const Catalog& catalog, uint64_t memory_bytes, size_t most) {
  std::vector<Suggestion> suggestions;
  for (const std::string name : kWellKnown) {
    for (const CatalogEntry& entry : catalog.entries()) {
      if (entry.alias != name || entry.download_bytes == 0) continue;
      const uint64_t memory = estimated_run_bytes(entry.download_bytes);
      if (memory <= memory_bytes) {
        suggestions.push_back(
            {entry.alias, entry.model, entry.maker, entry.download_bytes, memory});
      }
    }
  }
  std::stable_sort(suggestions.begin(), suggestions.end(), [](const auto& a, const auto& b) {
    return a.download_bytes > b.download_bytes;
  });
  return spread(std::move(suggestions), most);
}

}  // namespace omg::cli
