// SPDX-License-Identifier: Apache-2.0
//
// Reads the fields of a JSON object that a client sent: each with its type and range, errors that
// name the field by its path, and at the end what nobody has read, so that nothing a client asks
// for is dropped silently.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "base/error.h"
#include "base/json.h"

namespace omg {

/// What is wrong with one field of a request. Error(kUnsupported) for that kind, else
/// kInvalidArgument. The message names the field.
class FieldError : public Error {
 public:
  enum class Kind {
    kMissing,      // it is required
    kWrongType,    // "temperature must be a number, not a string"
    kWrongValue,   // out of its range, or none of those that there are
    kUnsupported,  // nobody here knows it, or can do it
  };
  FieldError(Kind kind, std::string field, const std::string& message)
      : Error(kind == Kind::kUnsupported ? ErrorCode::kUnsupported : ErrorCode::kInvalidArgument,
              message),
        kind_(kind),
        field_(std::move(field)) {}
  Kind kind() const { return kind_; }
  /// Its path: "messages[2].content"; "" for the body itself.
  const std::string& field() const { return field_; }

 private:
  Kind kind_;
  std::string field_;
};

/// Getters give nothing for a field that is absent or null, and throw FieldError for one of a wrong
/// type or out of its range. Each marks its field as read. Strings that come back are UTF-8: the
/// parser has seen to it. Of a key that occurs twice the last counts, as in JavaScript.
class JsonFields {
 public:
  /// `object` must stay. `path`: of the object, for messages; "" for the body itself.
  explicit JsonFields(const json::object& object, std::string path = "")
      : object_(&object), path_(std::move(path)) {}
  /// The same for a value that must be an object.
  static JsonFields of(const json::value& value, std::string path);

  std::optional<bool> boolean(std::string_view name);
  /// Numbers without a fraction, however they are written (3, 3.0, 3e0), from least to most.
  std::optional<int64_t> integer(std::string_view name, int64_t least, int64_t most);
  /// Finite, from least to most.
  std::optional<double> number(std::string_view name, double least, double most);
  std::optional<std::string> string(std::string_view name);
  /// A string that is one of these.
  std::optional<std::string> choice(std::string_view name,
                                    std::initializer_list<std::string_view> choices);
  /// A string as a list of one, or a list of strings, of at most `most`. Empty if absent.
  std::vector<std::string> strings(std::string_view name, size_t most);
  /// Null if absent.
  const json::array* array(std::string_view name);
  const json::object* object(std::string_view name);
  /// An object to be read on; finish() it too.
  std::optional<JsonFields> fields(std::string_view name);
  /// Whatever it is; null if absent, or null.
  const json::value* value(std::string_view name);

  /// The same, but FieldError(kMissing) where there is none.
  std::string required_string(std::string_view name);
  const json::array& required_array(std::string_view name);
  JsonFields required_fields(std::string_view name);
  const json::value& required(std::string_view name);

  /// Whether the field is there, and not null. Does not mark it as read.
  bool has(std::string_view name) const;
  /// Marks a field as read whose value makes no difference.
  void skip(std::string_view name) { read_.insert(std::string(name)); }

  /// Paths of the fields that nobody has read, in their order.
  std::vector<std::string> unread() const;
  /// FieldError(kUnsupported) that names them, if there are any.
  void finish() const;

  const std::string& path() const { return path_; }
  /// "options.top_k".
  std::string path_of(std::string_view name) const;
  [[noreturn]] void fail(FieldError::Kind kind, std::string_view name, std::string_view why) const;

 private:
  const json::value* find(std::string_view name);

  const json::object* object_;
  std::string path_;
  std::unordered_set<std::string> read_;
};

/// "a string", "an array" … for messages.
std::string_view json_kind_name(const json::value& value);
/// At most `most` bytes of `text`, cut between characters and then with "…": for messages that
/// repeat what a client sent.
std::string shortened(std::string_view text, size_t most = 64);

/// The body of a request: one JSON object of UTF-8, at most 128 levels deep. FieldError("") for all
/// else.
json::object parse_body(std::string_view body);

}  // namespace omg
