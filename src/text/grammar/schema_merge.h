// SPDX-License-Identifier: Apache-2.0
//
// Schemas without applicators: $ref, allOf, anyOf and oneOf beside other keywords are multiplied
// out into flat schemas, any one of which must hold.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/json.h"
#include "text/grammar/json_text.h"

namespace omg::grammar {

/// Error with the keyword and where it stands: "#/properties/a" is the schema that has it.
Error unsupported_keyword(const std::string& pointer, std::string_view keyword,
                          const std::string& why);
Error invalid_keyword(const std::string& pointer, std::string_view keyword, const std::string& why);

/// A key as a part of a JSON pointer (RFC 6901).
std::string pointer_part(std::string_view key);

/// Exact value of a JSON number; nothing for other values, and for doubles of more than 60 digits.
std::optional<Decimal> decimal_of(const json::value& value);

using FlatSchema = json::object;

class SchemaFlattener {
 public:
  /// `root` must outlive it; references are looked up there.
  explicit SchemaFlattener(const json::value& root) : root_(root) {}

  /// Flat schemas of which at least one must hold; none if nothing can.
  std::vector<FlatSchema> flatten(const json::value& schema, const std::string& pointer,
                                  int depth = 0);

  /// Refuses keywords that would constrain but are not known, and values of the wrong type.
  static void check_keywords(const json::object& schema, const std::string& pointer);
  /// Whether a keyword says something of the value; annotations do not.
  static bool constrains(std::string_view keyword);

  /// Where "#/..." leads. Error if nowhere, or outside.
  const json::value& resolve(std::string_view reference, const std::string& pointer) const;

  /// Refuses a oneOf unless no value can belong to two of its branches: branches are matched as
  /// alternatives, and one that allowed two of them would be wrong.
  void check_disjoint(const json::array& branches, const std::string& pointer, int depth);

 private:
  std::vector<FlatSchema> product(const std::vector<FlatSchema>& a,
                                  const std::vector<FlatSchema>& b, const std::string& pointer);
  std::optional<FlatSchema> merge(const FlatSchema& a, const FlatSchema& b,
                                  const std::string& pointer);
  void merge_properties(const FlatSchema& a, const FlatSchema& b, FlatSchema& result,
                        const std::string& pointer);
  bool are_disjoint(const FlatSchema& a, const FlatSchema& b, const std::string& pointer,
                    int depth);
  /// Whether a property that `one` requires cannot satisfy what `other` says of it.
  bool property_tells_apart(const FlatSchema& one, const FlatSchema& other, bool tags,
                            const std::string& pointer, int depth);
  bool values_are_disjoint(const json::value& a, const json::value& b, const std::string& pointer,
                           int depth);
  static void count(size_t& counter, size_t limit, const std::string& pointer);

  const json::value& root_;
  size_t merges_ = 0, comparisons_ = 0;
};

/// Bits of the types that a schema allows; all if it says nothing of types.
enum TypeBit : uint32_t {
  kNull = 1,
  kBoolean = 2,
  kObject = 4,
  kArray = 8,
  kNumber = 16,  // with a fraction, that is: integers have their own bit
  kInteger = 32,
  kString = 64,
  kAllTypes = 127,
};
uint32_t allowed_types(const json::object& schema, const std::string& pointer);
uint32_t type_of(const json::value& value);
/// Types that texts of a flat schema are given. A schema that says "minLength" and no type means a
/// string, though it would let through anything else.
uint32_t emitted_types(const json::object& schema, const std::string& pointer);

}  // namespace omg::grammar
