// SPDX-License-Identifier: Apache-2.0
//
// Settings that are layered on a model, as they come from outside: a Modelfile, a client's request
// to create a model, a registry's layer. Names of parameters are kept as they were given, ours or
// Ollama's, so that they are shown as they were written.
#pragma once

#include <string>
#include <string_view>

#include "base/json.h"

namespace omg {

/// Sets a parameter of a model from text, as in a Modelfile; "stop" adds a stop string. What means
/// the same under another name goes. Names by which Ollama tells its engine how to load a model
/// (num_gpu), or that it has given up, are taken, and without effect. Error(kInvalidArgument)
/// "unknown parameter 'x'", or one that names the range.
void set_model_parameter(json::object& parameters, std::string_view name, std::string_view text);

/// The same for an object of a request: numbers, and for "stop" a string or an array of strings.
/// Fractions of whole numbers are cut off and nulls passed over, as Ollama does it.
json::object checked_model_parameters(const json::object& given);

/// Takes `over` over `base`: equal in meaning is equal ("num_ctx" and "context_length").
json::object merged_model_parameters(const json::object& base, const json::object& over);

/// "go" for what can only be a template of Go's text/template, such as "{{ .Prompt }}"; else
/// "jinja".
std::string template_syntax_of(std::string_view source);

}  // namespace omg
