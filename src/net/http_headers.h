// SPDX-License-Identifier: Apache-2.0
//
// Header fields of HTTP messages, for the client and for the server.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace omg {

/// Header fields in the order they came. Names compare without case.
class HttpHeaders {
 public:
  struct Field {
    std::string name;
    std::string value;
  };
  void add(std::string name, std::string value);
  /// The first value of that name, without spaces round it.
  std::optional<std::string_view> find(std::string_view name) const;
  /// The value as a decimal number; nothing where it is missing or is none.
  std::optional<uint64_t> find_number(std::string_view name) const;
  const std::vector<Field>& fields() const { return fields_; }

 private:
  std::vector<Field> fields_;
};

/// Whether two texts are the same but for the case of ASCII letters.
bool equal_without_case(std::string_view a, std::string_view b);

}  // namespace omg
