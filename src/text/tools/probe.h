// SPDX-License-Identifier: Apache-2.0
//
// Finds out how a model writes tool calls and reasoning by letting its chat template write some:
// known names, keys and texts are looked up in what it renders, and what stands round them is the
// format. No model's name is asked for.
#pragma once

#include <string>

#include "text/template/chat_template.h"
#include "text/tools/tool_format.h"

namespace omg {

struct ProbeOptions {
  std::string bos_token = "<s>";
  std::string eos_token = "</s>";
};

/// Never fails: what a template does not show is not in the format. Where the template writes no
/// calls of the assistant's, markers in its text that are known to belong to a format decide.
/// Renders the template a few dozen times; each time within small limits.
ToolFormat probe_tool_format(const ChatTemplate& chat_template, const ProbeOptions& options = {});

}  // namespace omg
