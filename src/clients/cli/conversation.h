// SPDX-License-Identifier: Apache-2.0
//
// A chat so far and what was set for it; saved to and loaded from a JSON file that people can read.
#pragma once

#include <string>
#include <string_view>

#include "base/json.h"
#include "runtimes/parameters.h"

namespace omg::cli {

struct Conversation {
  std::string system;    // "" for none
  json::array messages;  // without the system message
  Parameters parameters;

  /// What goes to the model: the system message, if any, and all others.
  json::array all_messages() const;
  void add(std::string_view role, std::string_view content);
  /// The model's own: what it thought goes with it, for templates that show that to the model.
  void add_answer(std::string_view content, std::string_view reasoning);
  /// Drops the oldest user message and what follows it up to the next one. False when only one user
  /// message is left, which is the question itself.
  bool drop_oldest_turn();
};

/// {"model", "system", "parameters", "messages"}.
json::object conversation_to_json(const Conversation& conversation, const std::string& model);
/// Also takes a bare array of messages; a first system message becomes `system`.
/// Error(kInvalidArgument) says what is wrong with `value`, which `what` names.
Conversation conversation_from_json(const json::value& value, const std::string& what);

/// Replaces `path` in one step: a crash leaves the old file or the new one.
void save_conversation(const Conversation& conversation, const std::string& model,
                       const std::string& path);
Conversation load_conversation(const std::string& path);

}  // namespace omg::cli
