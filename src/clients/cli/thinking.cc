// SPDX-License-Identifier: Apache-2.0
#include "clients/cli/thinking.h"

#include <cctype>

#include "base/error.h"

namespace omg::cli {
namespace {

bool is_word(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) || c == '_';
}

/// `code`: what stands between the braces of one tag.
bool code_uses(std::string_view code, std::string_view variable) {
  for (size_t i = 0; i < code.size();) {
    if (code[i] == '\'' || code[i] == '"') {
      const char quote = code[i++];
      while (i < code.size() && code[i] != quote) i += code[i] == '\\' ? 2 : 1;
      ++i;
    } else if (is_word(code[i])) {
      const size_t begin = i;
      while (i < code.size() && is_word(code[i])) ++i;
      const bool is_member = begin > 0 && code[begin - 1] == '.';
      if (!is_member && code.substr(begin, i - begin) == variable) return true;
    } else {
      ++i;
    }
  }
  return false;
}

}  // namespace

bool template_uses(std::string_view source, std::string_view variable) {
  for (size_t i = 0; (i = source.find('{', i)) != std::string_view::npos; ++i) {
    if (i + 1 >= source.size()) return false;
    const char kind = source[i + 1];
    if (kind != '{' && kind != '%' && kind != '#') continue;
    const char* close = kind == '{' ? "}}" : kind == '%' ? "%}" : "#}";
    const size_t end = std::min(source.find(close, i + 2), source.size());
    if (kind != '#' && code_uses(source.substr(i + 2, end - i - 2), variable)) return true;
    i = end;
  }
  return false;
}

json::object thinking_variables(std::string_view source, std::string_view value) {
  const bool is_level = value == "low" || value == "medium" || value == "high";
  if (!is_level && value != "true" && value != "false") {
    throw Error(ErrorCode::kInvalidArgument, "thinking cannot be '" + std::string(value) +
                                                 "': it is true, false, low, medium or high");
  }
  json::object variables;
  for (const char* name : {"enable_thinking", "thinking"}) {
    if (template_uses(source, name)) variables[name] = value != "false";
  }
  if (is_level && template_uses(source, "reasoning_effort")) variables["reasoning_effort"] = value;
  if (variables.empty()) {
    throw Error(ErrorCode::kUnsupported, "thinking cannot be set to '" + std::string(value) +
                                             "': the model's chat template has no switch for it");
  }
  return variables;
}

}  // namespace omg::cli
