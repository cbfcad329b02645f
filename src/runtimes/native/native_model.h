// SPDX-License-Identifier: Apache-2.0
//
// A loaded model in this process: joins model file, tokenizer, chat template and engine, and
// answers any number of requests at once by continuous batching.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "base/error.h"
#include "engine/engine.h"
#include "runtimes/model.h"
#include "text/template/capabilities.h"
#include "text/template/chat_template.h"
#include "text/tokenizer/tokenizer.h"
#include "text/tools/tool_format.h"

namespace omg {

/// What a native model is made of. The engine may refer to the file.
struct NativeModelParts {
  std::unique_ptr<ModelFile> file;
  std::unique_ptr<Tokenizer> tokenizer;
  std::optional<ChatTemplate> chat_template;
  std::optional<Error> template_error;  // why there is none, when the model names one
  std::string default_template;         // name of the family's, where the file brings none
  std::unique_ptr<Engine> engine;
  uint32_t max_waiting = 512;
  std::chrono::nanoseconds load_duration{};
};

/// What only those ask for who have the model in their own process.
struct NativeLoadOptions {
  /// Share of the weights that is loaded, 0 to 1. May throw to stop.
  std::function<void(float)> on_progress;
  bool profile = false;    // EngineOptions::profile
  std::optional<Isa> isa;  // unset: OMG_CPU_ISA, else the best the machine has
  uint32_t max_batch_tokens = 512;
};

class NativeModel final : public Model {
 public:
  /// Loads a model file. A chat template that does not parse is no error yet: render(), and answers
  /// to conversations, are.
  static std::unique_ptr<NativeModel> load(const ModelLoadOptions& options,
                                           const NativeLoadOptions& native = {});
  static std::unique_ptr<NativeModel> create(NativeModelParts parts);
  ~NativeModel() override;

  const ModelFacts& facts() const override;
  Canceller answer(AnswerRequest request, AnswerSink sink) override;
  std::vector<int32_t> tokenize(std::string_view text, const TokenizeOptions& options) override;
  std::string detokenize(std::span<const int32_t> tokens) override;
  RenderedChat render(const ChatPrompt& prompt) override;
  ModelActivity activity() const override;

  const ModelFile& file() const;
  const Tokenizer& tokenizer() const;
  /// Null when the model has none, or one that does not parse.
  const ChatTemplate* chat_template() const;
  /// What the template can express, and how it writes calls and reasoning. Null without a template.
  const TemplateCapabilities* capabilities() const;
  const ToolFormat* tool_format() const;
  /// For what it counts and measures, while nothing is asked of the model: it is stepped by a
  /// thread of its own.
  Engine& engine();

 private:
  class Impl;
  explicit NativeModel(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace omg
