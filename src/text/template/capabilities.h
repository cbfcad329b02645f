// SPDX-License-Identifier: Apache-2.0
//
// What a chat template can express, found out by rendering small conversations with it: nobody
// writes it down, and a template that drops a message does not say so.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/json.h"
#include "text/template/chat_template.h"

namespace omg {

/// What becomes of a kind of message.
enum class Support {
  kNo,       // it is not in the prompt
  kRefused,  // the template ends with an error
  kYes,
};
std::string_view support_name(Support support);

/// In what form the arguments of earlier calls go to the template.
enum class ArgumentForm { kObject, kString, kEither };
std::string_view argument_form_name(ArgumentForm form);

/// How a template is told whether the model shall think before it answers.
struct ThinkingSwitch {
  /// Template variables that set it; empty where it cannot be set so.
  json::object on, off;
  /// The same for each level of effort that the template knows.
  std::vector<std::pair<std::string, json::object>> levels;
  bool on_by_default = false;
};

struct TemplateCapabilities {
  /// Empty where a user's message alone can be rendered; else the template's words. The rest is
  /// then of no use.
  std::string failure;

  /// What a request does not have (tools, documents) is None to the template, as transformers
  /// does it; where that is an error, the variable is not there at all.
  bool absent_is_none = true;

  Support system = Support::kNo;
  bool system_anywhere = false;  // also behind the first message
  bool developer = false;        // role "developer"
  bool must_alternate = false;   // user and assistant in turns, or it is an error

  bool content_string = true;  // content as a string
  bool content_parts = false;  // content as a list of {"type": "text", "text": …}

  bool tools = false;           // declared in the prompt
  bool calls = false;           // of earlier assistant's turns
  bool parallel_calls = false;  // more than one in a turn
  bool null_content = false;    // beside calls, content may be null
  bool empty_content = false;   // and it may be ""
  ArgumentForm arguments = ArgumentForm::kEither;
  bool tool_results = false;

  std::optional<ThinkingSwitch> thinking;
  /// Field of a message that reasoning is read from; empty where none is.
  std::string reasoning_field;
  bool keeps_reasoning = false;  // of turns before the last user's message, too

  /// What add_generation_prompt adds.
  std::string generation_prompt;
};

struct CapabilityOptions {
  std::string bos_token = "<s>";
  std::string eos_token = "</s>";
};

/// Never fails. Renders the template some dozen times, each time within small limits.
TemplateCapabilities probe_capabilities(const ChatTemplate& chat_template,
                                        const CapabilityOptions& options = {});

/// Template variables that set thinking to "true", "false", "low", "medium", "high" or another
/// level of the template's. Error(kInvalidArgument) for a value that no template knows;
/// Error(kUnsupported), saying what there is, where this one does not.
json::object thinking_variables(const TemplateCapabilities& capabilities, std::string_view value);

json::object capabilities_to_json(const TemplateCapabilities& capabilities);

}  // namespace omg
