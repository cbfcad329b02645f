// SPDX-License-Identifier: Apache-2.0
#include "clients/cli/text_source.h"

#include <filesystem>
#include <optional>

#include "base/error.h"
#include "formats/open_model_file.h"
#include "runtimes/native/load.h"
#include "text/tokenizer/huggingface/huggingface.h"

namespace omg::cli {
namespace {

void set_special(const Tokenizer& tokenizer, TemplateSource& source) {
  const SpecialTokens& special = tokenizer.special_tokens();
  source.bos = special.bos ? tokenizer.token_text(*special.bos) : "";
  source.eos = special.eos ? tokenizer.token_text(*special.eos) : "";
}

/// The tokenizer, or null where `open` throws an Error.
template <typename Open>
std::unique_ptr<Tokenizer> try_open(const Open& open, TemplateSource& source) {
  source.bos = "<s>";
  source.eos = "</s>";
  try {
    auto tokenizer = open();
    set_special(*tokenizer, source);
    return tokenizer;
  } catch (const Error&) {
    return nullptr;
  }
}

TemplateSource read_from_folder(const std::string& path) {
  const auto templates = read_huggingface_templates(path);
  const NamedTemplate* found = default_template(templates);
  if (found == nullptr) {
    std::string why = path + " has no chat template";
    if (!templates.empty()) why += " named 'default', only";
    for (const NamedTemplate& one : templates) why += " '" + one.name + "'";
    throw Error(ErrorCode::kNotFound, why);
  }
  TemplateSource source;
  source.source = found->source;
  try_open([&] { return make_huggingface_tokenizer(path); }, source);
  return source;
}

}  // namespace

LocalModel find_local_text(const std::string& model) {
  if (is_huggingface_path(model)) return {model, std::nullopt};
  if (names_a_folder(model)) {
    throw Error(ErrorCode::kNotFound,
                "'" + model +
                    "' holds neither a tokenizer.json, a tokenizer.model nor a chat template; give "
                    "a folder that does, or the path of a .gguf file");
  }
  return find_local_model(model);
}

bool is_text_folder(const std::string& path) {
  return is_huggingface_path(path);
}

std::unique_ptr<Tokenizer> open_tokenizer(const std::string& path) {
  if (is_text_folder(path)) return make_huggingface_tokenizer(path);
  return make_tokenizer(open_model_file(path).metadata());
}

TemplateSource read_template_source(const std::string& path) {
  if (is_text_folder(path)) return read_from_folder(path);
  const ModelFile file = open_model_file(path);
  TemplateSource source;
  const auto tokenizer = try_open([&] { return make_tokenizer(file.metadata()); }, source);
  const auto found = find_chat_template(file.metadata(), tokenizer.get());
  if (!found) {
    throw Error(ErrorCode::kNotFound,
                path + " has no chat template, and none is known for its family and vocabulary");
  }
  source.source = found->source;
  source.default_name = found->default_name;
  return source;
}

}  // namespace omg::cli
