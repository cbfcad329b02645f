// SPDX-License-Identifier: Apache-2.0
//
// Chat templates for model files that bring none, by family: what the family's instruct models are
// trained on. Only where the vocabulary has the family's markers as control tokens; a base model of
// the family, or a file of another, has no template, and chat is refused.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace omg {

struct DefaultTemplate {
  std::string_view name;  // "chatml"
  std::string_view source;
};

/// `family`: general.architecture. `is_control_token`: whether the vocabulary has a control token
/// with exactly this text.
std::optional<DefaultTemplate> default_chat_template(
    std::string_view family, const std::function<bool(std::string_view)>& is_control_token);

}  // namespace omg
