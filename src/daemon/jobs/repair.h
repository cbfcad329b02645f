// SPDX-License-Identifier: Apache-2.0
//
// Damaged blobs become whole again: what is bad of them is fetched from where their models came.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "base/cancellation.h"
#include "daemon/jobs/pull.h"
#include "store/store.h"

namespace omg {

struct RepairReport {
  struct Item {
    std::string path;
    std::string model;     // that it was fetched for
    uint64_t fetched = 0;  // bytes that came over the network
    std::string problem;   // "" if it is whole now
  };
  std::vector<Item> items;
};

/// For all blobs that `report` found damaged or missing. Where it tells which ranges are damaged,
/// these alone are fetched; the whole is verified in any case. `progress` gets the file's name.
/// What cannot be repaired does not stop the others. Throws Error(kCancelled).
RepairReport repair_blobs(
    const PullParts& parts, const VerifyReport& report,
    const std::function<void(const std::string&, const TransferProgress&)>& progress,
    const CancellationToken& cancellation);

}  // namespace omg
