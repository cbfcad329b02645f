// SPDX-License-Identifier: Apache-2.0
//
// Internal to daemon/ollama: requests read as Go's decoder reads them into a struct. Names match
// whatever their case, null leaves a field as it is, unknown fields are no error, and a wrong type
// is one in Go's words.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/json.h"
#include "daemon/requests/model_call.h"

namespace omg::ollama {

/// The body of a request as an object; its type is for errors: "GenerateRequest". HttpRefusal(400)
/// for none, what is not JSON, and what is no object.
json::object parse_go_body(std::string_view body, std::string_view type);

/// Fields of one object. Errors are HttpRefusal(400).
class GoFields {
 public:
  GoFields(const json::object& object, std::string type)
      : object_(&object), type_(std::move(type)) {}

  /// Null where it is absent, or null.
  const json::value* find(std::string_view name) const;
  std::string text(std::string_view name) const;
  std::optional<bool> boolean(std::string_view name) const;
  int64_t integer(std::string_view name) const;
  const json::array* array(std::string_view name) const;
  const json::object* object(std::string_view name) const;
  /// Of an array of strings; of "license" a string alone counts as one.
  std::vector<std::string> texts(std::string_view name) const;

  /// A sentence for each field that is none of `known`.
  std::vector<std::string> unknown(std::span<const std::string_view> known) const;

  const std::string& type() const { return type_; }
  [[noreturn]] void wrong_type(std::string_view name, const json::value& value,
                               std::string_view wanted) const;

 private:
  const json::object* object_;
  std::string type_;
};

/// `model`, or where that is empty `name`.
std::string model_field(const GoFields& fields);

struct ParsedOptions {
  Parameters parameters;
  std::vector<std::string> warnings;  // what had no effect, a sentence each
};

/// `options` of a request. HttpRefusal(500) for a wrong type, as Ollama has it, and 400 for a value
/// that is out of range.
ParsedOptions parse_options(const GoFields& fields);

/// `keep_alive`: a number of seconds or a duration; negative: for ever.
std::optional<KeepAlive> parse_keep_alive(const GoFields& fields);

/// `format`: "json" or a JSON schema.
AnswerFormat parse_format(const GoFields& fields);

/// `think` as ChatPrompt::thinking has it; nothing if it was not said.
std::optional<std::string> parse_think(const GoFields& fields);

/// `logprobs` and `top_logprobs` as ModelCall::top_logprobs has them.
int32_t parse_logprobs(const GoFields& fields, std::vector<std::string>& warnings);

}  // namespace omg::ollama
