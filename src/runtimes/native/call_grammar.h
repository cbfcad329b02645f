// SPDX-License-Identifier: Apache-2.0
//
// The calls that a model may make, as a grammar in its own format: what the parser of text/tools
// reads, written by the model under masks.
#pragma once

#include "base/json.h"
#include "runtimes/answer.h"
#include "text/grammar/expressions.h"
#include "text/tools/tool_format.h"

namespace omg {

/// Calls of `tools` (as in the OpenAI API), of the one that `use` names if it does, one or, where
/// it allows them and the format has an end for each, more. Arguments are JSON that belongs to the
/// tool's schema. Formats that write strings without quotes keep to types, enums, order and what is
/// required of the top level alone, and none of their strings holds what ends it.
/// Error(kUnsupported) names a format that has no grammar, or a schema's keyword;
/// Error(kInvalidArgument) a tool that is malformed or not there.
grammar::ExprId call_expression(const ToolFormat& format, const json::array& tools,
                                const ToolUse& use, grammar::Expressions& expressions);

/// Whether call_expression() can do this format.
bool has_call_grammar(const ToolFormat& format);

}  // namespace omg
