// SPDX-License-Identifier: Apache-2.0
//
// JSON Schema (draft 2020-12) into expressions.
#pragma once

#include <boost/json/fwd.hpp>
#include <string>
#include <string_view>

#include "text/grammar/expressions.h"

namespace omg::grammar {

/// Fills `expressions`; errors as Grammar::from_json_schema.
void compile_json_schema(const boost::json::value& schema, const JsonSchemaOptions& options,
                         Expressions& expressions);

/// A regular expression for all of a string of this format; empty if the format is not known.
/// What it matches always belongs to the format; some rare forms of it are left out.
std::string format_pattern(std::string_view format);

}  // namespace omg::grammar
