// SPDX-License-Identifier: Apache-2.0
//
// A value inside a JSON file, with the path that leads to it: whatever is wrong with it, the error
// names file and path ("tokenizer.json: $.model.merges[17] ...").
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"

namespace omg::huggingface {

/// A view: the JSON document must outlive it. Cheap, but it holds its path as a string; loops over
/// hundreds of thousands of entries go over value() and build a path only to complain.
class JsonNode {
 public:
  /// `file` is how errors call the document.
  JsonNode(const json::value& document, std::string file)
      : value_(&document), file_(std::move(file)), path_("$") {}

  const json::value& value() const { return *value_; }
  const std::string& file() const { return file_; }
  const std::string& path() const { return path_; }

  /// The member `key`; nothing when it is absent or null. Error(kCorrupt) if this is no object.
  std::optional<JsonNode> find(std::string_view key) const;
  /// The same, but absence is an error.
  JsonNode get(std::string_view key) const;
  /// The elements of an array of at most `limit`.
  std::vector<JsonNode> elements(size_t limit) const;
  size_t size() const { return as_array().size(); }

  const json::object& as_object() const;
  const json::array& as_array() const;
  std::string_view as_string() const;
  bool as_bool() const;
  /// An integer from 0 to `limit`.
  uint32_t as_u32(uint32_t limit) const;

  // Members, with what holds where they are absent or null.
  bool bool_or(std::string_view key, bool absent) const;
  std::string string_or(std::string_view key, std::string_view absent) const;

  /// Error(kCorrupt): "<file>: <path> <why>; ...".
  [[noreturn]] void fail(const std::string& why) const;
  /// Error(kUnsupported): well-formed, but nothing here can do it.
  [[noreturn]] void unsupported(const std::string& why) const;
  /// Error(kLimitExceeded).
  [[noreturn]] void exceeds(const std::string& what, size_t has, size_t limit) const;

 private:
  JsonNode(const json::value& value, std::string file, std::string path)
      : value_(&value), file_(std::move(file)), path_(std::move(path)) {}

  const json::value* value_;
  std::string file_;
  std::string path_;
};

/// `text` quoted and shortened, for an error message.
std::string in_quotes(std::string_view text);

}  // namespace omg::huggingface
