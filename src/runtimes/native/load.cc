// SPDX-License-Identifier: Apache-2.0
//
// From a path to a session.
#include "formats/open_model_file.h"
#include "runtimes/native/session.h"

namespace omg {

std::unique_ptr<Session> Session::load(const std::string& path, const EngineOptions& options) {
  const auto start = std::chrono::steady_clock::now();
  SessionParts parts;
  parts.file = std::make_unique<ModelFile>(open_model_file(path));
  const Metadata& metadata = parts.file->metadata();
  parts.tokenizer = make_tokenizer(metadata);
  try {
    const auto source = metadata.find_string("tokenizer.chat_template");
    if (source) parts.chat_template = ChatTemplate::parse(*source);
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
