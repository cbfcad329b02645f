// SPDX-License-Identifier: Apache-2.0
//
// The text side of whatever a user may name: a .gguf file, or the files that a model has on Hugging
// Face. Commands that need no weights go through here.
#pragma once

#include <memory>
#include <string>

#include "clients/cli/local_model.h"
#include "text/tokenizer/tokenizer.h"

namespace omg::cli {

/// A name of the store, or the path of a .gguf file, of a folder with tokenizer.json,
/// tokenizer.model or a chat template, or of one of these two files. Error(kNotFound) with what to
/// do when it is none of these.
LocalModel find_local_text(const std::string& model);
/// True for what does not lie in a .gguf file.
bool is_text_folder(const std::string& path);

/// `path` as find_local_text() gives it.
std::unique_ptr<Tokenizer> open_tokenizer(const std::string& path);

struct TemplateSource {
  std::string source;
  std::string default_name;  // of the family's usual template; empty where the files bring one
  std::string bos, eos;      // texts of the tokens; empty for none
};

/// Error(kNotFound) when there is no template and none is known for the family. A vocabulary that
/// this build cannot use is no error: then bos and eos are the most frequent ones.
TemplateSource read_template_source(const std::string& path);

}  // namespace omg::cli
