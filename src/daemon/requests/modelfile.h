// SPDX-License-Identifier: Apache-2.0
//
// Modelfiles: what a model is made from, as people write it for Ollama. Commands are FROM,
// PARAMETER, TEMPLATE, SYSTEM, ADAPTER, LICENSE, MESSAGE and REQUIRES, in any case, one to a line;
// a line that begins with '#' is a comment. A text in "…" or """…""" may go over many lines and
// ends with the first line whose end is the closing quote; there are no escapes.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "daemon/requests/model_catalog.h"
#include "store/stored_model.h"

namespace omg {

inline constexpr size_t kMaxModelfileBytes = 4u << 20;

struct Modelfile {
  /// A model's name, or a file; further ones are files beside it. At least one.
  std::vector<std::string> from;
  std::vector<std::string> adapters;
  ModelSettings settings;
  std::string least_version;  // REQUIRES: of Ollama
  /// What was passed over (PARSER, RENDERER, DRAFT), a sentence each. Not written.
  std::vector<std::string> warnings;
};

/// Error(kInvalidArgument) "cannot read the Modelfile: line N: why"; kLimitExceeded beyond
/// kMaxModelfileBytes.
Modelfile parse_modelfile(std::string_view text);

/// A text that parse_modelfile() reads back. There is one thing that it cannot be: a text in which
/// a line ends in """, whose quotes are written as '''.
std::string write_modelfile(const Modelfile& modelfile);

/// What would make the model again.
std::string modelfile_of(const ModelInspection& inspection);

}  // namespace omg
