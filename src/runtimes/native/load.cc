// SPDX-License-Identifier: Apache-2.0
//
// From a path to a session.
#include "runtimes/native/load.h"

#include "formats/open_model_file.h"
#include "runtimes/native/session.h"
#include "text/template/default_template.h"

namespace omg {

std::optional<FoundTemplate> find_chat_template(const Metadata& metadata,
                                                const Tokenizer* tokenizer) {
  if (const auto source = metadata.find_string("tokenizer.chat_template")) {
    return FoundTemplate{std::string(*source), ""};
  }
  if (tokenizer == nullptr) return std::nullopt;
  const auto is_control_token = [&](std::string_view text) {
    const std::optional<TokenId> token = tokenizer->find_token(text);
    return token && tokenizer->is_control(*token);
  };
  const auto usual = default_chat_template(
      metadata.find_string("general.architecture").value_or(""), is_control_token);
  if (!usual) return std::nullopt;
  return FoundTemplate{std::string(usual->source), std::string(usual->name)};
}

std::unique_ptr<Session> Session::load(const std::string& path, const EngineOptions& options) {
  const auto start = std::chrono::steady_clock::now();
  SessionParts parts;
  parts.file = std::make_unique<ModelFile>(open_model_file(path));
  const Metadata& metadata = parts.file->metadata();
  parts.tokenizer = make_tokenizer(metadata);
  try {
    if (const auto found = find_chat_template(metadata, parts.tokenizer.get())) {
      parts.chat_template = ChatTemplate::parse(found->source);
      parts.default_template = found->default_name;
    }
  } catch (const Error& error) {
    parts.template_error = Error(
        error.code(), "the model's chat template cannot be used: " + std::string(error.what()) +
                          "; use a prompt without one");
  }
  parts.engine = Engine::load(*parts.file, options);
  parts.load_duration = std::chrono::steady_clock::now() - start;
  return create(std::move(parts));
}

}  // namespace omg
