// SPDX-License-Identifier: Apache-2.0
//
// What dialects can ask of models: answers from whichever runs there are, loaded when needed.
// daemon/lifecycle implements it; tests of dialects have a small one of their own.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/requests/model_call.h"
#include "runtimes/model.h"
#include "store/stored_model.h"

namespace omg {

enum class RunState { kStarting, kRunning, kStopping, kError };
std::string_view run_state_name(RunState state);

/// A loaded model, or one that is on its way.
struct RunInfo {
  std::string id;  // "run-…", for URLs
  StoredModel model{StoreName("?")};
  RunState state = RunState::kStarting;
  std::string error;                // kError: why, and when it is tried again
  float load_progress = 0;          // 0 to 1, of kStarting
  uint64_t planned_bytes = 0;       // of memory, what the plan gives it
  std::optional<ModelFacts> facts;  // once it is there
  ModelActivity activity;
  uint32_t answers = 0;  // under way or waiting for the model
  uint32_t restarts = 0;
  bool is_pinned = false;
  KeepAlive keep_alive{};
  /// When it will be unloaded if nobody asks; nothing: never, or it is busy.
  std::optional<std::chrono::system_clock::time_point> expires_at;
  std::chrono::system_clock::time_point started_at;
};

/// Thread-safe. Models are named as clients name them (find_installed()); a name that is not there
/// is Error(kNotFound). Callbacks may come on any thread, also before the method has returned, one
/// at a time for each call; they must be quick and must not throw.
class ModelService {
 public:
  virtual ~ModelService() = default;

  /// Never throws; all that goes wrong comes by on_end. Cancelled while the model loads, it ends at
  /// once (loading goes on if others wait for it). Error(kUnavailable) when too many wait, or when
  /// the worker is lost under way.
  virtual Canceller answer(ModelCall call, AnswerSink sink) = 0;

  /// `error` is null when the model is there.
  using OnLoaded = std::function<void(const Error* error, std::chrono::nanoseconds load_duration)>;
  /// Loads, or renews the keep-alive of, a run.
  virtual Canceller load(std::string model, std::optional<KeepAlive> keep_alive,
                         OnLoaded on_end) = 0;
  /// Unloads as soon as the answers under way have ended; new ones load it again. False: it is not
  /// loaded. Error(kNotFound) for what is no model.
  virtual bool unload(const std::string& model) = 0;
  /// A run that is never unloaded to make room, nor for idleness.
  virtual void set_pinned(const std::string& model, bool is_pinned) = 0;

  /// Calls with the loaded model, on a thread where tokenizing, rendering and the like may block a
  /// little; or with the error, and a null model. It stays loaded until `use` returns.
  using UseModel = std::function<void(const Error* error, Model* model)>;
  virtual Canceller with_model(std::string model, UseModel use) = 0;

  virtual std::vector<RunInfo> runs() const = 0;
  /// The last lines that the run's worker has written, oldest first. Error(kNotFound).
  virtual std::vector<std::string> run_log(const std::string& run_id, size_t max_lines) const = 0;
};

}  // namespace omg
