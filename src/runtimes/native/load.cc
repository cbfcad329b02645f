// SPDX-License-Identifier: Apache-2.0
//
// From a path to a model that answers.
#include "runtimes/native/load.h"

#include <cstdio>

#include "engine/kernels/kv_type.h"
#include "formats/open_model_file.h"
#include "runtimes/native/native_model.h"
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

namespace {

/// The file's template, or the one that is given instead. One that does not parse is no error yet.
void load_template(const ModelLoadOptions& options, NativeModelParts& parts) {
  if (!options.chat_template.empty()) {
    parts.chat_template = ChatTemplate::parse(options.chat_template);
    return;
  }
  try {
    if (const auto found = find_chat_template(parts.file->metadata(), parts.tokenizer.get())) {
      parts.chat_template = ChatTemplate::parse(found->source);
      parts.default_template = found->default_name;
    }
  } catch (const Error& error) {
    parts.template_error = Error(
        error.code(), "the model's chat template cannot be used: " + std::string(error.what()) +
                          "; use a prompt without one");
  }
}

EngineOptions engine_options(const ModelLoadOptions& options, const NativeLoadOptions& native) {
  EngineOptions engine;
  engine.context_length = options.context_length;
  engine.max_sequences = options.max_sequences;
  engine.kv_capacity_tokens = options.kv_capacity_tokens;
  engine.shares_one_context = options.kv_capacity_tokens == 0;
  engine.max_batch_tokens = native.max_batch_tokens;
  engine.threads = options.threads;
  const auto kv_type = kv_type_from_name(options.kv_type);
  if (!kv_type) {
    std::string names;
    for (const KvTypeName& type : kKvTypes) {
      names += (names.empty() ? "" : ", ") + std::string(type.name);
    }
    throw Error(ErrorCode::kInvalidArgument,
                "a cache of type '" + options.kv_type + "': there is none; take one of " + names);
  }
  engine.kv_type = *kv_type;
  engine.isa = native.isa;
  engine.profile = native.profile;
  const PrefixStorage& storage = options.prefix_storage;
  engine.kv_storage.file = storage.file;
  engine.kv_storage.max_bytes = storage.max_bytes;
  engine.kv_storage.most_bytes = storage.most_bytes;
  engine.kv_storage.weights = storage.weights;
  engine.kv_storage.on_problem = [](const std::string& problem) {
    std::fprintf(stderr, "no more beginnings of texts are kept: %s\n", problem.c_str());
  };
  engine.on_progress = native.on_progress;
  return engine;
}

}  // namespace

std::unique_ptr<NativeModel> NativeModel::load(const ModelLoadOptions& options,
                                               const NativeLoadOptions& native) {
  const auto start = std::chrono::steady_clock::now();
  NativeModelParts parts;
  parts.file = std::make_unique<ModelFile>(open_model_file(options.path));
  parts.tokenizer = make_tokenizer(parts.file->metadata());
  load_template(options, parts);
  parts.engine = Engine::load(*parts.file, engine_options(options, native));
  parts.max_waiting = options.max_waiting;
  parts.load_duration = std::chrono::steady_clock::now() - start;
  return create(std::move(parts));
}

}  // namespace omg
