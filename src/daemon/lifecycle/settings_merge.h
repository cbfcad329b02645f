// SPDX-License-Identifier: Apache-2.0
//
// A request, the settings of the model that it names, and what the run can do, become what is asked
// of the runtime. What the client says wins, then the model's settings, then the defaults.
#pragma once

#include <string>
#include <vector>

#include "daemon/requests/model_call.h"
#include "runtimes/answer.h"
#include "store/stored_model.h"

namespace omg {

struct MergedCall {
  AnswerRequest request;
  /// What could not be done as asked, a sentence each: AnswerResult::warnings.
  std::vector<std::string> warnings;
};

/// `run_context`: tokens of one sequence, of the run that will answer. Parameters of the settings
/// are known by their own and by Ollama's names; others have no effect, which a warning tells, as
/// have values that are out of range: a model's settings are no fault of whoever asks.
///
/// Of a chat, the system message comes first: one that the messages begin with, else the call's,
/// else the settings'; then the messages of the settings; then those of the call.
MergedCall merge_settings(const ModelSettings& settings, ModelCall call, uint32_t run_context);

/// The template that the run is loaded with instead of the file's, or "": Jinja counts, templates
/// in Ollama's language do not.
std::string template_of(const ModelSettings& settings);

}  // namespace omg
