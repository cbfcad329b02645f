// SPDX-License-Identifier: Apache-2.0
#include "text/tokenizer/huggingface/json_node.h"

#include <algorithm>

#include "base/error.h"
#include "base/utf8.h"

namespace omg::huggingface {
namespace {

std::string_view kind_name(const json::value& value) {
  switch (value.kind()) {
    case json::kind::null:
      return "null";
    case json::kind::bool_:
      return "a boolean";
    case json::kind::string:
      return "a string";
    case json::kind::array:
      return "an array";
    case json::kind::object:
      return "an object";
    default:
      return "a number";
  }
}

std::string wrong_kind(const json::value& value, std::string_view wanted) {
  return "is " + std::string(kind_name(value)) + ", not " + std::string(wanted);
}

}  // namespace

std::string in_quotes(std::string_view text) {
  constexpr size_t kLongest = 80;
  std::string out = replace_invalid_utf8(text.substr(0, kLongest));
  std::replace_if(
      out.begin(), out.end(), [](unsigned char c) { return c < 0x20 || c == 0x7F; }, '?');
  return "'" + out + (text.size() > kLongest ? "…'" : "'");
}

void JsonNode::fail(const std::string& why) const {
  throw Error(ErrorCode::kCorrupt, "cannot read the tokenizer: " + file_ + ": " + path_ + " " +
                                       why + "; the file is damaged or was made wrongly");
}

void JsonNode::unsupported(const std::string& why) const {
  throw Error(ErrorCode::kUnsupported, "cannot tokenize as " + file_ + " says: " + path_ + " " +
                                           why + "; update this program");
}

void JsonNode::exceeds(const std::string& what, size_t has, size_t limit) const {
  throw Error(ErrorCode::kLimitExceeded, "cannot read the tokenizer: " + file_ + ": " + path_ +
                                             " has " + std::to_string(has) + " " + what +
                                             ", the limit is " + std::to_string(limit));
}

const json::object& JsonNode::as_object() const {
  if (!value_->is_object()) fail(wrong_kind(*value_, "an object"));
  return value_->get_object();
}

const json::array& JsonNode::as_array() const {
  if (!value_->is_array()) fail(wrong_kind(*value_, "an array"));
  return value_->get_array();
}

std::string_view JsonNode::as_string() const {
  if (!value_->is_string()) fail(wrong_kind(*value_, "a string"));
  return value_->get_string();
}

bool JsonNode::as_bool() const {
  if (!value_->is_bool()) fail(wrong_kind(*value_, "a boolean"));
  return value_->get_bool();
}

uint32_t JsonNode::as_u32(uint32_t limit) const {
  boost::system::error_code status;
  const auto number = value_->to_number<uint32_t>(status);
  if (status || (!value_->is_int64() && !value_->is_uint64()))
    fail("is no integer from 0 to " + std::to_string(limit));
  if (number > limit)
    fail("is " + std::to_string(number) + ", the limit is " + std::to_string(limit));
  return number;
}

std::optional<JsonNode> JsonNode::find(std::string_view key) const {
  const json::value* member = as_object().if_contains(key);
  if (member == nullptr || member->is_null()) return std::nullopt;
  return JsonNode(*member, file_, path_ + "." + std::string(key));
}

JsonNode JsonNode::get(std::string_view key) const {
  auto member = find(key);
  if (!member) fail("has no member '" + std::string(key) + "'");
  return *member;
}

std::vector<JsonNode> JsonNode::elements(size_t limit) const {
  const json::array& array = as_array();
  if (array.size() > limit) exceeds("elements", array.size(), limit);
  std::vector<JsonNode> nodes;
  nodes.reserve(array.size());
  for (size_t i = 0; i < array.size(); ++i)
    nodes.push_back(JsonNode(array[i], file_, path_ + "[" + std::to_string(i) + "]"));
  return nodes;
}

bool JsonNode::bool_or(std::string_view key, bool absent) const {
  const auto member = find(key);
  return member ? member->as_bool() : absent;
}

std::string JsonNode::string_or(std::string_view key, std::string_view absent) const {
  const auto member = find(key);
  return std::string(member ? member->as_string() : absent);
}

}  // namespace omg::huggingface
