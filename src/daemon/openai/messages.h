// SPDX-License-Identifier: Apache-2.0
//
// Messages and tools of a chat, checked field by field and made into what templates take.
#pragma once

#include "daemon/requests/json_fields.h"
#include "runtimes/answer.h"

namespace omg::openai {

/// `messages`: at least one, of the roles system, developer, user, assistant and tool. FieldError.
json::array read_messages(JsonFields& fields);

/// `tools`, `tool_choice` and `parallel_tool_calls` into the prompt. Adds a warning where a tool
/// asks for arguments that follow its schema strictly. FieldError.
void read_tools(JsonFields& fields, ChatPrompt& prompt, std::vector<std::string>& warnings);

}  // namespace omg::openai
