// SPDX-License-Identifier: Apache-2.0
//
// A model in a process of its own: what crashes, hangs or is taken over there takes this model's
// answers with it and nothing else. The process cannot outlive the one that started it, and cannot
// be left behind as a zombie.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <sys/types.h>
#include <thread>
#include <vector>

#include "runtimes/model.h"

namespace omg {

/// How a worker ended that nobody had told to.
struct WorkerExit {
  /// "the model's process was ended by signal 9 (Killed)".
  std::string reason;
  std::optional<int> signal;
  std::optional<int> exit_code;
  std::vector<std::string> last_lines;  // of its log, at most 20
};

/// The functions are called on the worker's own thread here, one at a time, and everything that
/// comes from the worker waits for them.
struct WorkerOptions {
  std::string binary = "/proc/self/exe";  // run as `BINARY worker --fd N --parent PID`
  ModelLoadOptions load;
  bool sandbox = true;
  /// Each line that the worker prints, without control characters.
  std::function<void(std::string_view line)> on_log;
  std::function<void(float share)> on_progress;  // of loading
  /// Once, when a worker that was ready is gone, before its answers end. The model may not be
  /// destroyed in it.
  std::function<void(const WorkerExit& exit)> on_exit;
  CancellationToken cancellation;  // of loading
  /// From being asked to stop to SIGTERM, and half as much again to SIGKILL.
  std::chrono::milliseconds stop_grace{2000};
  /// A worker that says nothing for so long is killed. What answers pings there does not compute,
  /// so being busy is no excuse; being stopped by a signal or a debugger is one, and so is time
  /// in which this process did not run either. Not noticed: a computation that never ends while
  /// the rest of the process is well; cancelling its answers has no effect then.
  std::chrono::milliseconds hang_limit{30000};
};

class WorkerLink;

/// When the process is gone, answers under way get Error(kUnavailable) that says how it ended, and
/// so does all that is asked later; nothing restarts it.
class WorkerModel final : public Model {
 public:
  ~WorkerModel() override;

  const ModelFacts& facts() const override;
  Canceller answer(AnswerRequest request, AnswerSink sink) override;
  std::vector<int32_t> tokenize(std::string_view text, const TokenizeOptions& options) override;
  std::string detokenize(std::span<const int32_t> tokens) override;
  RenderedChat render(const ChatPrompt& prompt) override;
  /// As it was a second ago, at least, when the worker is slow to say.
  ModelActivity activity() const override;

  pid_t pid() const;
  /// How the process is confined: "landlock 7, seccomp".
  const std::string& sandbox() const;
  /// The last 1000 lines that it printed.
  std::vector<std::string> log_lines() const;

 private:
  friend std::unique_ptr<WorkerModel> start_worker(WorkerOptions options);
  explicit WorkerModel(WorkerOptions options);

  std::shared_ptr<WorkerLink> link_;  // cancellers know it, too
  std::thread thread_;
};

/// Starts a process and waits until the model is loaded there. Throws what loading throws there,
/// Error(kUnavailable) with the last lines of its log when the process ends meanwhile, and
/// Error(kCancelled). Any thread may call; it need not live on.
std::unique_ptr<WorkerModel> start_worker(WorkerOptions options);

}  // namespace omg
