// SPDX-License-Identifier: Apache-2.0
//
// JSON for the whole project: Boost.JSON's values (objects keep their key order), behind a parser
// with limits and typed errors.
#pragma once

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>
#include <string>
#include <string_view>

namespace omg {

namespace json = boost::json;

struct JsonLimits {
  size_t max_bytes = 256u << 20;
  /// Deeper input is refused: recursion over values must not exhaust the stack (8 MiB).
  size_t max_depth = 256;
};

/// Parses one JSON document (RFC 8259) that fills all of `text`. Throws Error(kInvalidArgument)
/// "<what> is not valid JSON: <why> at byte N", or kLimitExceeded.
json::value parse_json(std::string_view text, std::string_view what, const JsonLimits& limits = {});

/// Reads a whole file and parses it; errors name the file.
json::value parse_json_file(const std::string& path, const JsonLimits& limits = {});

}  // namespace omg
