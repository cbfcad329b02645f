// SPDX-License-Identifier: Apache-2.0
//
// Tokenizers and chat templates from the files that models have on Hugging Face: tokenizer.json or
// tokenizer.model, with the small files beside them.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "text/tokenizer/tokenizer.h"

namespace omg {

/// True if `path` is a folder that holds a tokenizer or a chat template of the kinds read here, or
/// a file tokenizer.json or tokenizer.model (of any name with that ending).
bool is_huggingface_path(const std::string& path);

/// Builds the tokenizer of a folder, or of the file tokenizer.json or tokenizer.model that `path`
/// names; the files beside it count too. Error(kNotFound) where there is none; Error(kUnsupported)
/// naming what of it is not known here; Error(kCorrupt) or (kLimitExceeded) naming file and place.
std::unique_ptr<Tokenizer> make_huggingface_tokenizer(const std::string& path);

struct NamedTemplate {
  std::string name;  // "default" where the files give none
  std::string source;
};

/// The chat templates of a folder, or of the folder of the file that `path` names, in the order in
/// which the files hold them: those of chat_template.jinja and additional_chat_templates/, else of
/// tokenizer_config.json, else of chat_template.json. Empty when there is none.
std::vector<NamedTemplate> read_huggingface_templates(const std::string& path);

/// The template for a conversation without tools: the one named "default", or the only one.
const NamedTemplate* default_template(const std::vector<NamedTemplate>& templates);

}  // namespace omg
