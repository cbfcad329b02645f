// SPDX-License-Identifier: Apache-2.0
//
// Which models this machine can run, of those that are not here yet. Their files are not there to
// be planned from, so this alone is an estimate; `omg models` tells what is planned.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "daemon/settings/settings.h"
#include "hub/catalog.h"

namespace omg::cli {

struct Suggestion {
  std::string name;   // "llama3.2:1b"
  std::string model;  // "org/repo"
  std::string maker;  // "Meta"
  uint64_t download_bytes = 0;
  uint64_t memory_bytes = 0;  // that a run with a context of 4096 tokens takes, about
};

/// What runs may take: the budget that is configured, or what is free but the reserve.
uint64_t memory_for_models(const Settings& settings);

/// Memory of a run of a model whose file has so many bytes, about; and the other way round.
uint64_t estimated_run_bytes(uint64_t download_bytes);
uint64_t estimated_largest_download(uint64_t memory_bytes);

/// Of the catalogue's well-known models those that fit, largest first; at most so many, from large
/// to small.
std::vector<Suggestion> suggest_models(const Catalog& catalog, uint64_t memory_bytes, size_t most);

}  // namespace omg::cli
