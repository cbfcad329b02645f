// SPDX-License-Identifier: Apache-2.0
//
// Makes a conversation into one that a template can express: what it would drop or refuse goes
// where it can stand, and that is said. What cannot be saved is an error, never a silent loss.
#pragma once

#include <string>
#include <vector>

#include "base/json.h"
#include "text/template/capabilities.h"

namespace omg {

struct AdaptedConversation {
  json::array messages;
  /// What was changed in a way that the caller may want to know, one sentence each.
  std::vector<std::string> warnings;
};

/// `messages` as in the OpenAI API (reasoning also as "thinking", arguments also as objects).
/// Error(kInvalidArgument) names the message that is malformed; Error(kUnsupported) says what the
/// template cannot express and what to do.
AdaptedConversation adapt_conversation(const TemplateCapabilities& capabilities,
                                       const json::array& messages, const json::array& tools);

}  // namespace omg
