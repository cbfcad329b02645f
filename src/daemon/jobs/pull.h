// SPDX-License-Identifier: Apache-2.0
//
// A pull: a name becomes a remote model, its files come into the store, and the model appears
// whole. This is the one place that joins hub, transfers and store.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/cancellation.h"
#include "hub/hub.h"
#include "hub/transfer/transfer.h"
#include "store/store.h"

namespace omg {

struct PullOptions {
  /// memory_bytes unset: what this machine can give.
  SelectionOptions selection;
  std::string revision;  // "": as the name says, or the hub's default
  /// Download also what no engine here can run.
  bool any_family = false;
};

enum class PullPhase { kResolving, kTransferring, kPublishing, kDone };

struct PullFile {
  std::string path;
  uint64_t size = 0;
  std::string digest;      // "sha256:…", "" where the hub does not tell it
  bool was_there = false;  // nothing had to be fetched
  TransferProgress transfer;
};

struct PullProgress {
  PullPhase phase = PullPhase::kResolving;
  std::string name;  // as it will be in the store
  std::vector<PullFile> files;
  uint64_t done = 0;   // bytes here, of all files
  uint64_t total = 0;  // bytes of all files
};

struct PullResult {
  StoredModel model;
  uint64_t fetched = 0;    // bytes that came over the network
  bool was_there = false;  // the same model was in the store, whole
};

/// What a pull works with; all must outlive it.
struct PullParts {
  Store& store;
  Hub& hub;
  HttpClient& client;  // the hub's
  Transfers& transfers;
};

/// Fetches what `name` stands for, unless it is there. `progress` is called on this thread, about
/// ten times a second; may be null. What has arrived survives failures and cancellation. Throws
/// Error: kUnsupported, before anything is downloaded, for a family that cannot run here.
PullResult pull_model(const PullParts& parts, const std::string& name, const PullOptions& options,
                      const std::function<void(const PullProgress&)>& progress,
                      const CancellationToken& cancellation);

}  // namespace omg
